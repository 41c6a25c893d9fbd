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
_MOST_NOISE = 0.3  # of the size of the base's logits: SmolLM2 in 8 bits has 0.04, in fp32 2e-6
_NOISE = 8  # by how much more than the base's logits those with the adapter may differ between the two ways
_TOKENS = 2  # how many are read; logits are compared behind the last
_LISTENED = 16  # tokens by which the base's own difference between the two ways is known
_KEPT = 64  # logits in a fingerprint

Fingerprint = Tensor  # [at most _KEPT]: how an adapter that was proved right changes the logits


class ProbeFailed(Exception):
    """The adapter in memory is not what the file says; the message is one sentence that says how."""


class Probe:
    """Asks one model. May run beside the engine's thread: keys and values are its own."""

    def __init__(self, model: Llama) -> None:
        self._model = model
        vocabulary = model.config.vocabulary
        self._some_tokens = [(7919 * place + 31) % vocabulary for place in range(_LISTENED)]  # anywhere in it
        self._tokens = self._some_tokens[:_TOKENS]
        self._columns = slice(None, None, -(-vocabulary // _KEPT))

    @cached_property
    def _base(self) -> tuple[Tensor, Tensor]:
        """The base's logits `[vocabulary]` behind the tokens in a plain pass, and by how much those of the
        engine's own differ from such ones, of their size: both the same for every adapter.

        Raises ProbeFailed for an engine that is wrong by itself.
        """
        tokens, store = self._some_tokens, KVStore(self._model.config, 1)
        plain = self._model.reference(tokens)
        logits = self._model.forward([Segment(tokens, KVCache(store, [0]), None, len(tokens))])
        noise = ((logits - plain).norm(dim=1) / plain.norm(dim=1)).max()
        if not noise <= _MOST_NOISE:
            raise ProbeFailed("The engine does not answer as the base model would without any adapter.")
        return plain[_TOKENS - 1].clone(), noise

    def prove(self, weights: AdapterWeights, placed: PlacedAdapter) -> Fingerprint:
        """Raises ProbeFailed unless `placed` answers as `weights` merged into the base would."""
        with torch.inference_mode():
            update = _Update(weights, self._model.config)
            plain, noise = self._base
            wanted = self._model.reference(self._tokens, update)[-1] - plain
            if not wanted.isfinite().all():
                raise ProbeFailed("Its numbers overflow: train it again.")
            layers = _Layers()
            base, change = self._change(placed, layers)
            layers.compare(update)
            rounding = (ROUNDING + _NOISE * noise) * plain.norm()
            if not (base - plain).norm() <= rounding:
                raise ProbeFailed("Beside it the base model would not answer as it does alone.")
            if not (change - wanted).norm() <= TOLERANCE * wanted.norm() + rounding:
                raise ProbeFailed("The engine would not answer with it as its weights say.")
            return change[self._columns].clone()

    def prove_again(self, fingerprint: Fingerprint, placed: PlacedAdapter) -> None:
        """Raises ProbeFailed unless `placed` answers as it did when it was proved right."""
        with torch.inference_mode():
            base, change = self._change(placed)
            allowed = TOLERANCE * fingerprint.norm() + ROUNDING * base[self._columns].norm()
            if not (change[self._columns] - fingerprint).norm() <= allowed:
                raise ProbeFailed("The engine would not answer with it as it did before.")

    def _change(self, placed: PlacedAdapter, layers: _Layers | None = None) -> tuple[Tensor, Tensor]:
        """The base's logits `[vocabulary]` and what the adapter adds to them, of one shared step."""
        store = KVStore(self._model.config, 2)
        base = Segment(self._tokens, KVCache(store, [0]))
        adapted = Segment(self._tokens, KVCache(store, [1]), placed)
        without, with_it = self._model.forward([base, adapted], layers)
        return without, with_it - without


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
