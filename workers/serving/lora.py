"""LoRA beside fused linear layers (Hu et al. 2021): y = x W^T + scaling * (x A^T) B^T.

The matrices of all adapters stand in one arena of fp32 numbers, so that one compiled call serves a step's
rows whichever adapters they belong to, as S-LoRA's unified memory does (Sheng et al. 2023).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from workers.serving.config import LlamaConfig

if TYPE_CHECKING:
    from workers.serving.adapter_file import AdapterWeights

# The linear layers that read the same input are multiplied as one; a checkpoint keeps them apart.
FUSED: dict[str, tuple[str, ...]] = {
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "out": ("self_attn.o_proj",),
    "gate_up": ("mlp.gate_proj", "mlp.up_proj"),
    "down": ("mlp.down_proj",),
}
MODULES = tuple(module for members in FUSED.values() for module in members)
# Which of MODULES a fused layer holds: from, to before.
SPANS = dict(zip(FUSED, pairwise([0, *accumulate(len(members) for members in FUSED.values())]), strict=True))


@dataclass(frozen=True, eq=False)
class PlacedAdapter:
    """One adapter's matrices in the arena: `size` numbers from `start` on.

    `parts [layers, modules, 5]` are `kernels.lora`'s: rank, beginning of A `[rank, in]`, beginning of B
    `[rank, out]`, first column in the fused layer's output, columns. Rank 0: a module that is left as it is.
    """

    arena: Tensor
    start: int
    size: int
    parts: NDArray[np.int64]


def numbers_needed(weights: AdapterWeights) -> int:
    """How many numbers of the arena an adapter takes: those of its matrices, nothing else."""
    return sum(a.numel() + b.numel() for layer in weights.layers for a, b in layer.values())


def place(weights: AdapterWeights, config: LlamaConfig, arena: Tensor, start: int) -> PlacedAdapter:
    """Write an adapter's matrices into `arena` from `start` on, B transposed and times the scaling."""
    shapes = config.linear_shapes()
    parts = np.zeros((config.layers, len(MODULES), 5), np.int64)
    at = start
    for index, layer in enumerate(weights.layers):
        for members in FUSED.values():
            column = 0
            for module in members:
                columns, width = shapes[module]
                if module in layer:
                    a, b = layer[module]
                    rank = a.shape[0]
                    end_a, end_b = at + rank * width, at + rank * (width + columns)
                    arena[at:end_a].view(rank, width).copy_(a)
                    arena[end_a:end_b].view(rank, columns).copy_(b.t()).mul_(weights.scaling)
                    parts[index, MODULES.index(module)] = (rank, at, end_a, column, columns)
                    at = end_b
                column += columns
    return PlacedAdapter(arena, start, at - start, parts)
