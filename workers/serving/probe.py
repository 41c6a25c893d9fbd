"""Proof that an adapter in memory changes the base's answers as its weights, merged, would.

A few tokens are read twice in one step of the engine, once without and once with the adapter. What that step
adds to each layer is compared with s B A x, from the matrices as they stood in the file; and how the logits
differ, with how they do in a plain forward pass to which the same is added. The first shows what the logits
don't: one module of 210 out of place, and anything at all where weights have 8 bits, since two ways to
compute the same then differ by as much as a small adapter changes.
"""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from workers.serving.adapter_file import AdapterWeights
from workers.serving.config import LlamaConfig
from workers.serving.kv_cache import KVCache, KVStore
from workers.serving.llama import Llama
from workers.serving.lora import FUSED, PlacedAdapter
from workers.serving.steps import Segment

TOLERANCE = 1e-2  # of the size of the change: rounding stays below it, any number out of place above
ROUNDING = 1e-5  # of the size of what is added to: what two ways of adding up the same fp32 numbers differ by
_NOISE = 8  # by how much more than the base's logits those with the adapter may differ between the two ways
_TOKENS, _ASKED = 4, 2  # how many are read, and behind how many of them logits are compared
_KEPT = 64  # logits a row in a fingerprint

Fingerprint = Tensor  # [_ASKED, at most _KEPT]: how an adapter that was proved right changes the logits


class ProbeFailed(Exception):
    """The adapter in memory is not what the file says; the message is one sentence that says how."""


class Probe:
    """Asks one model. May run beside the engine's thread: keys and values are its own."""

    def __init__(self, model: Llama) -> None:
        self._model = model
        vocabulary = model.config.vocabulary
        self._tokens = [(7919 * place + 31) % vocabulary for place in range(_TOKENS)]  # anywhere in it
        self._columns = slice(None, None, -(-vocabulary // _KEPT))

    @cached_property
    def _plain(self) -> Tensor:
        """What the base alone says to the tokens, `[_ASKED, vocabulary]`: the same for every adapter."""
        return self._model.reference(self._tokens)[-_ASKED:].clone()

    def prove(self, weights: AdapterWeights, placed: PlacedAdapter) -> Fingerprint:
        """Raises ProbeFailed unless `placed` answers as `weights` merged into the base would."""
        with torch.inference_mode():
            update = _Update(weights, self._model.config)
            plain = self._plain
            wanted = self._model.reference(self._tokens, update)[-_ASKED:] - plain
            if not wanted.isfinite().all():
                raise ProbeFailed("Its numbers overflow: train it again.")
            layers = _Layers()
            base, change = self._change(placed, layers)
            layers.compare(update)
            noise = (base - plain).norm()
            if not noise <= 0.1 * plain.norm():
                raise ProbeFailed("Beside it the base model would not answer as it does alone.")
            allowed = TOLERANCE * wanted.norm() + ROUNDING * plain.norm() + _NOISE * noise
            if not (change - wanted).norm() <= allowed:
                raise ProbeFailed("The engine would not answer with it as its weights say.")
            return change[:, self._columns].clone()

    def prove_again(self, fingerprint: Fingerprint, placed: PlacedAdapter) -> None:
        """Raises ProbeFailed unless `placed` answers as it did when it was proved right."""
        with torch.inference_mode():
            base, change = self._change(placed)
            allowed = TOLERANCE * fingerprint.norm() + ROUNDING * base[:, self._columns].norm()
            if not (change[:, self._columns] - fingerprint).norm() <= allowed:
                raise ProbeFailed("The engine would not answer with it as it did before.")

    def _change(self, placed: PlacedAdapter, layers: _Layers | None = None) -> tuple[Tensor, Tensor]:
        """The base's logits `[_ASKED, vocabulary]` and what the adapter adds to them, of one shared step."""
        store = KVStore(self._model.config, 2)
        base = Segment(self._tokens, KVCache(store, [0]), None, _ASKED)
        adapted = Segment(self._tokens, KVCache(store, [1]), placed, _ASKED)
        logits = self._model.forward([base, adapted], layers)
        return logits[:_ASKED], logits[_ASKED:] - logits[:_ASKED]


class _Update:
    """s (x A^T) B^T of every module, in the words of Hu et al. 2021, equation 3."""

    def __init__(self, weights: AdapterWeights, config: LlamaConfig) -> None:
        self._weights, self._shapes = weights, config.linear_shapes()

    def __call__(self, layer: int, module: str, x: Tensor) -> Tensor | None:
        """`[rows, out]` for x `[rows, in]`; None where nothing is changed."""
        pair = self._weights.layers[layer].get(module)
        if pair is None:
            return None
        a, b = (matrix.float() for matrix in pair)
        return self._weights.scaling * (x @ a.t() @ b.t())

    def beside(self, layer: int, name: str, x: Tensor) -> Tensor:
        """Of the modules of a fused layer beside each other, nought where nothing is changed."""
        parts = [
            (self(layer, module, x), torch.zeros(x.shape[0], self._shapes[module][0]))
            for module in FUSED[name]
        ]
        return torch.cat([zeros if found is None else found for found, zeros in parts], dim=1)


class _Layers:
    """What a step adds to each layer: noted while it runs, compared afterwards."""

    def __init__(self) -> None:
        self._seen: list[tuple[int, str, Tensor, Tensor]] = []

    def __call__(self, layer: int, name: str, x: Tensor, added: Tensor) -> None:
        self._seen.append((layer, name, x.clone(), added))

    def compare(self, update: _Update) -> None:
        """Raises ProbeFailed unless the base's rows have nothing added, and the others what `update` says."""
        for layer, name, x, added in self._seen:
            if added[:_TOKENS].any():
                raise ProbeFailed(
                    f"In layer {layer} ({name}) it would be added to other firms' requests too."
                )
            x, added = x[_TOKENS:], added[_TOKENS:]
            wanted = update.beside(layer, name, x)
            if not (added - wanted).norm() <= TOLERANCE * wanted.norm() + ROUNDING * x.norm():
                raise ProbeFailed(f"In layer {layer} ({name}) the engine would not add what its weights say.")
