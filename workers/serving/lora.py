"""LoRA beside fused linear layers (Hu et al. 2021): y = x W^T + scaling * (x A^T) B^T."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from workers.serving.config import LlamaConfig
from workers.serving.linear import linear

# The linear layers that read the same input are multiplied as one; a checkpoint keeps them apart.
FUSED: dict[str, tuple[str, ...]] = {
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "out": ("self_attn.o_proj",),
    "gate_up": ("mlp.gate_proj", "mlp.up_proj"),
    "down": ("mlp.down_proj",),
}


@dataclass(frozen=True)
class LoraPart:
    """One target module's B, and where its numbers stand in the fused layer."""

    columns: slice
    ranks: slice
    b: Tensor  # [out, rank], the scaling multiplied in


@dataclass(frozen=True)
class FusedLora:
    """The LoRA matrices of one fused linear layer; modules that are no targets are left out."""

    a: Tensor  # [targets * rank, in]: the A of every target, one below the other
    parts: tuple[LoraPart, ...]

    def add_to(self, y: Tensor, x: Tensor) -> None:
        """Add this adapter's share to `y [rows, out]` in place, from the layer's input `x [rows, in]`."""
        h = linear(x, self.a)
        for part in self.parts:
            y[:, part.columns].addmm_(h[:, part.ranks], part.b.t())


LoraLayer = Mapping[str, FusedLora]  # by the name of the fused layer; absent where nothing is changed


def fuse_layer(
    config: LlamaConfig, modules: Mapping[str, tuple[Tensor, Tensor]], scaling: float
) -> dict[str, FusedLora]:
    """One layer's `{module: (A [rank, in], B [out, rank])}` laid out for the fused linear layers."""
    shapes = config.linear_shapes()
    fused: dict[str, FusedLora] = {}
    for name, members in FUSED.items():
        parts: list[LoraPart] = []
        stacked: list[Tensor] = []
        column = rank_row = 0
        for module in members:
            width = shapes[module][0]
            if module in modules:
                a, b = modules[module]
                rank = a.shape[0]
                columns, ranks = slice(column, column + width), slice(rank_row, rank_row + rank)
                parts.append(LoraPart(columns, ranks, (b.float() * scaling).contiguous()))
                stacked.append(a.float())
                rank_row += rank
            column += width
        if parts:
            fused[name] = FusedLora(torch.cat(stacked), tuple(parts))
    return fused
