"""Greedy answers of an adapter in training, so that one sees the house style arrive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from workers.engine.adapter import AdaptedLayer
from workers.engine.base_model import BaseModel
from workers.engine.blocks import AttentionShape, Rotation, rms_norm
from workers.engine.learner import Check


class Layers(Protocol):
    def __getitem__(self, index: int) -> AdaptedLayer: ...


@torch.no_grad()
def greedy(
    base: BaseModel, layers: Layers, prompts: Sequence[Sequence[int]], most: int, check: Check
) -> list[list[int]]:
    """The likeliest tokens after each prompt, at most `most` of them, without the one that ends an answer."""
    sequences = [_Sequence(base, prompt) for prompt in prompts]
    for _ in range(most):
        check()
        open_ones = [sequence for sequence in sequences if not sequence.ended]
        if not open_ones:
            break
        logits = _next_logits(base, layers, open_ones)
        for sequence, token in zip(open_ones, logits.argmax(-1).tolist(), strict=True):
            sequence.take(token)
    return [sequence.answer for sequence in sequences]


class _Sequence:
    """A prompt, what was answered, and its keys and values by layer."""

    def __init__(self, base: BaseModel, prompt: Sequence[int]) -> None:
        self._base = base
        self.new = list(prompt)  # tokens that have not been read yet
        self.read = 0
        self.answer: list[int] = []
        self.ended = False
        self._kept: list[tuple[Tensor, Tensor] | None] = [None] * len(base.layers)

    def take(self, token: int) -> None:
        self.read += len(self.new)
        self.ended = token in self._base.stop_tokens or self.read + 1 >= self._base.context
        if not self.ended:
            self.answer.append(token)
            self.new = [token]

    def attend(self, index: int, qkv: Tensor, shape: AttentionShape) -> Tensor:
        """`[new, heads head_dim]`; keeps the new keys and values."""
        heads = shape.by_head(qkv).transpose(0, 1)[None]
        q, k, v = heads.split([shape.heads, shape.kv_heads, shape.kv_heads], dim=1)  # type: ignore[no-untyped-call]
        before = self._kept[index]
        if before is not None:
            k, v = torch.cat([before[0], k], dim=2), torch.cat([before[1], v], dim=2)
        self._kept[index] = k, v
        # Either all of the prompt at once, or one token that sees all before it.
        out = F.scaled_dot_product_attention(q, k, v, is_causal=before is None, enable_gqa=True)
        return out[0].transpose(0, 1).flatten(1)


def _next_logits(base: BaseModel, layers: Layers, sequences: Sequence[_Sequence]) -> Tensor:
    """`[sequences, vocabulary]`, from the tokens that each has not read yet."""
    lengths = [len(sequence.new) for sequence in sequences]
    tokens = torch.tensor([token for sequence in sequences for token in sequence.new], device=base.device)
    positions = torch.cat(
        [torch.arange(sequence.read, sequence.read + len(sequence.new)) for sequence in sequences]
    )
    rotation = Rotation(base.attention, *base.rotation(positions.to(base.device)))
    x = base.embed(tokens)
    for index in range(len(base.layers)):
        layer = layers[index]
        qkv = layer.qkv.forward(rms_norm(x, layer.attention_norm, layer.eps)[0], None)
        rotation.turn(qkv)
        attended = [
            sequence.attend(index, rows, base.attention)
            for sequence, rows in zip(sequences, qkv.split(lengths), strict=True)  # type: ignore[no-untyped-call]
        ]
        x = layer.out.forward(torch.cat(attended), None).add_(x)
        gate_up = layer.gate_up.forward(rms_norm(x, layer.mlp_norm, layer.eps)[0], None)
        g, u = gate_up.chunk(2, dim=-1)
        x = layer.down.forward(F.silu(g).mul_(u), None).add_(x)
    last = torch.tensor(lengths, device=base.device).cumsum(0) - 1
    return rms_norm(x[last], base.norm, base.eps)[0] @ base.head.t()
