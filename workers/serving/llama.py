"""The frozen base model, read once, and its forward pass over flat rows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from workers.serving import kernels
from workers.serving.config import LlamaConfig
from workers.serving.kv_cache import KVCache, KVStore
from workers.serving.linear import Int8Linear, Rows
from workers.serving.lora import FUSED, MODULES, SPANS, PlacedAdapter
from workers.serving.steps import Segment, Step, lay_out
from workers.serving.weights import Weights, read_weights

Delta = Callable[[int, str, Tensor], Tensor | None]  # (layer, module, its input [rows, in]) -> [rows, out]
Watch = Callable[[int, str, Tensor, Tensor], None]  # (layer, fused layer, its input, what was added)
Seen = Callable[[int, str, Tensor], None]  # (layer, fused layer, its input [rows, in])

_NOTHING = np.empty((0, 0), np.float32)


class Llama:
    """A Llama (Touvron et al. 2023): RMSNorm, rotary positions, grouped-query attention, SwiGLU.

    All tokens of a step stand below each other as rows `[rows, hidden]`, whichever sequence they belong to:
    the linear layers see one matrix, LoRA is added to the rows of each adapter, attention goes by sequence.
    """

    def __init__(self, config: LlamaConfig, weights: Weights, context: int) -> None:
        self.config = config
        self._weights = weights
        self._eps = np.float32(config.rms_eps)
        angles = torch.outer(torch.arange(context).float(), torch.tensor(config.inverse_frequencies))
        self._cos, self._sin = angles.cos().numpy(), angles.sin().numpy()  # [context, head_dim / 2]
        self._kernels = threading.Lock()  # the compiled kernels' threads serve one caller at a time

    @classmethod
    def load(
        cls,
        folder: Path,
        config: LlamaConfig,
        context: int,
        *,
        weights: str = "float32",
        calibration: Sequence[int] = (),
    ) -> Llama:
        """Read the safetensors in `folder`.

        `weights` is float32, int8 or auto: int8 where the machine has its kernels. `calibration` are the
        tokens of an ordinary text, which show the outliers.

        Raises StartError for weights that are absent or damaged.
        """
        model = cls(config, read_weights(folder, config), context)
        if weights == "int8" or (weights == "auto" and Int8Linear.usable()):
            model._turn_into_8_bits(calibration)
        model._warm_up()
        return model

    def forward(self, segments: Sequence[Segment], watch: Watch | None = None) -> Tensor:
        """Logits `[sum of their logits, vocabulary]` for the last rows of the segments that want any.

        Writes keys and values behind each cache's `length` and leaves `length` to the caller: writing the
        same rows again changes nothing, so a failed step can be repeated. Segments share one store. Those of
        one adapter should be neighbours, so that its matrices are read once. `watch` is shown what adapters
        add to every layer.
        """
        step = lay_out(segments)
        with self._kernels:
            return self._run(step, watch)

    def _run(self, step: Step, watch: Watch | None) -> Tensor:
        config, rows, eps = self.config, step.tokens.shape[0], self._eps
        cos, sin = self._cos[step.positions], self._sin[step.positions]
        x = self._weights.embedding[step.tokens].numpy()
        hidden = Rows.empty(rows, config.hidden)
        attended = Rows.empty(rows, config.heads * config.head_dim)
        inner = Rows.empty(rows, config.intermediate)
        queries = np.empty((rows, config.heads, config.head_dim), np.float32)
        add = _NOTHING
        for index, layer in enumerate(self._weights.layers):
            mask = layer.fused["qkv"].mask
            kernels.norm(x, add, layer.attention_norm, eps, mask, hidden.x, hidden.scaled, hidden.scale)
            qkv = self._linear(hidden, "qkv", index, step, watch)
            self._attend(qkv, queries, index, step, cos, sin, attended.x)
            mask = layer.fused["out"].mask
            if mask.shape[0]:
                kernels.scale_rows(attended.x, mask, attended.scaled, attended.scale)
            out = self._linear(attended, "out", index, step, watch)
            mask = layer.fused["gate_up"].mask
            kernels.norm(x, out, layer.mlp_norm, eps, mask, hidden.x, hidden.scaled, hidden.scale)
            gate_up = self._linear(hidden, "gate_up", index, step, watch)
            mask = layer.fused["down"].mask
            kernels.swiglu(gate_up, mask, inner.x, inner.scaled, inner.scale)
            add = self._linear(inner, "down", index, step, watch)
        if not step.wanted.shape[0]:
            return torch.empty(0, config.vocabulary)
        last, head = Rows.empty(len(step.wanted), config.hidden), self._weights.head
        x, add = x[step.wanted], add[step.wanted]
        kernels.norm(x, add, self._weights.norm, eps, head.mask, last.x, last.scaled, last.scale)
        return torch.from_numpy(head.product(last))

    def _linear(
        self, given: Rows, name: str, index: int, step: Step, watch: Watch | None
    ) -> NDArray[np.float32]:
        """x W^T for all rows, plus each adapter's LoRA for the rows that are its own."""
        y = self._weights.layers[index].fused[name].product(given)
        before = y.copy() if watch else y
        if step.adapted.shape[0]:
            first, last = SPANS[name]
            kernels.lora(given.x, y, step.arena, step.adapted, step.parts, step.owner, index, first, last)
        if watch:
            watch(index, name, given.tensor, torch.from_numpy(y - before))
        return y

    def _attend(
        self,
        qkv: NDArray[np.float32],
        queries: NDArray[np.float32],
        index: int,
        step: Step,
        cos: NDArray[np.float32],
        sin: NDArray[np.float32],
        out: NDArray[np.float32],
    ) -> None:
        """Attention of every sequence over its own keys and values, into `out [rows, heads * head_dim]`."""
        keys, values = step.store.layers[index]
        heads, scale = self.config.heads, np.float32(self.config.head_dim**-0.5)
        kernels.rotate_and_store(qkv, cos, sin, heads, keys, values, step.block, step.slot, queries, scale)
        kernels.attend(queries, keys, values, step.table, step.line, step.seen, out)

    def reference(self, tokens: Sequence[int], delta: Delta | None = None) -> Tensor:
        """Logits `[tokens, vocabulary]` of one sequence, with `delta` added to what each linear layer gives.

        Every step is written out with the library's plainest means; none of `forward`'s kernels, caches and
        groups is used. May run beside the engine's thread.
        """
        return self._weights.head.of(self._plain(tokens, delta, lambda index, name, x: None))

    def _plain(self, tokens: Sequence[int], delta: Delta | None, seen: Seen) -> Tensor:
        """What the head reads, `[tokens, hidden]`; `seen` is shown every linear layer's input."""
        config, rows = self.config, len(tokens)
        cos, sin = (torch.from_numpy(part[:rows, None]) for part in (self._cos, self._sin))
        shapes = config.linear_shapes()

        def linear(index: int, name: str, given: Tensor) -> Tensor:
            seen(index, name, given)
            y = self._weights.layers[index].fused[name].of(given)
            column = 0
            for module in FUSED[name]:
                columns = shapes[module][0]
                added = delta(index, module, given) if delta else None
                if added is not None:
                    y[:, column : column + columns] += added
                column += columns
            return y

        x = self._weights.embedding[torch.tensor(tokens)]
        for index, layer in enumerate(self._weights.layers):
            h = self._rms_norm(x, layer.attention_norm)
            by_head = linear(index, "qkv", h).view(rows, -1, config.head_dim).transpose(0, 1)
            q, k, v = torch.split(by_head, [config.heads, config.kv_heads, config.kv_heads])
            q, k = _rotate(q, cos, sin), _rotate(k, cos, sin)
            mixed = F.scaled_dot_product_attention(q[None], k[None], v[None], is_causal=True, enable_gqa=True)
            x = x + linear(index, "out", mixed[0].transpose(0, 1).reshape(rows, -1))
            gate, up = linear(index, "gate_up", self._rms_norm(x, layer.mlp_norm)).chunk(2, dim=-1)
            x = x + linear(index, "down", F.silu(gate) * up)
        return self._rms_norm(x, self._weights.norm)

    def _rms_norm(self, x: Tensor, weight: NDArray[np.float32]) -> Tensor:
        return F.rms_norm(x, (self.config.hidden,), torch.from_numpy(weight), self.config.rms_eps)

    def _turn_into_8_bits(self, calibration: Sequence[int]) -> None:
        """Have 8-bit products from now on, their outliers those that show in a text's tokens."""
        largest: dict[tuple[int, str], Tensor] = {}

        def note(index: int, name: str, given: Tensor) -> None:
            largest[index, name] = given.abs().amax(0)

        with torch.inference_mode():
            note(self.config.layers, "head", self._plain(calibration, None, note))
            self._weights = self._weights.in_8_bits(largest)

    def _warm_up(self) -> None:
        """Have the kernels compiled, or read from the disk, before anybody waits for them."""
        parts = np.zeros((self.config.layers, len(MODULES), 5), np.int64)
        adapter = PlacedAdapter(torch.empty(1), 0, 0, parts)
        with torch.inference_mode():
            for rows in (1, kernels.ALONE + 1):
                self.forward([Segment([0] * rows, KVCache(KVStore(self.config, 1), [0]), adapter)])


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions (Su et al. 2021) on `[heads, rows, head_dim]`, halves paired as Llama pairs them."""
    cos, sin = cos.transpose(0, 1), sin.transpose(0, 1)
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
