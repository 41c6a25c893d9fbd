"""A LoRA adapter in training (Hu et al. 2021): the only parameters that change.

    W_eff = W + s B A        A [rank, in], B [out, rank], s = alpha / rank

W_eff is made once per optimiser step, so that a forward pass is the plain y = x W_effᵀ.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from webapp.training.spec import TrainingSpec
from workers.engine.base_model import BaseModel, FrozenLayer, FrozenLinear


@dataclass(frozen=True)
class LoraPart:
    """One target module: its rows of the fused weight, its rows of the fused A, and its own B."""

    name: str
    out: slice
    ranks: slice
    b: Tensor  # [out, rank]


class AdaptedLinear:
    """Linear layers that read the same input, each with LoRA where it is a target."""

    def __init__(self, linear: FrozenLinear, spec: TrainingSpec, generator: torch.Generator) -> None:
        self._frozen = linear.weight
        self._scaling = spec.scaling
        self.parts = _parts(linear, spec)
        self.weight = self._frozen.clone() if self.parts else self._frozen
        # As PEFT begins: A is Kaiming-uniform with a = √5, which is U(±1/√in), and B is 0, so that W_eff = W.
        columns = linear.weight.shape[1]
        self.a = torch.empty(len(self.parts) * spec.rank, columns)  # one target's A below the other's
        self.a.uniform_(-1 / math.sqrt(columns), 1 / math.sqrt(columns), generator=generator)
        for parameter in self.parameters():
            parameter.requires_grad_()

    def parameters(self) -> tuple[Tensor, ...]:
        """A and every B; none where no module is a target."""
        return (self.a, *(part.b for part in self.parts)) if self.parts else ()

    @torch.no_grad()
    def merge(self) -> None:
        """W_eff = W + s B A, from the A and B of now."""
        for part in self.parts:
            torch.addmm(
                self._frozen[part.out],
                part.b,
                self.a[part.ranks],
                alpha=self._scaling,
                out=self.weight[part.out],
            )

    def gradients(self, x: Tensor, dy: Tensor) -> tuple[Tensor, ...]:
        """The gradients of `parameters()`, in their order, from input `[rows, in]` and dy `[rows, out]`.

        y = x Wᵀ + s (x Aᵀ) Bᵀ.  With u = x Aᵀ:  dB = s dyᵀ u,  du = s dy B,  dA = duᵀ x.
        """
        if not self.parts:
            return ()
        u = x @ self.a.t()
        du = torch.empty_like(u)
        db = []
        for part in self.parts:
            dy_part = dy[:, part.out]
            db.append((dy_part.t() @ u[:, part.ranks]).mul_(self._scaling))
            du[:, part.ranks] = dy_part @ part.b
        da = (du.t() @ x).mul_(self._scaling)
        return (da, *db)


class AdaptedLayer:
    """One layer of the base with its linear layers adapted."""

    def __init__(self, layer: FrozenLayer, spec: TrainingSpec, generator: torch.Generator) -> None:
        self.eps = layer.eps
        self.attention_norm, self.mlp_norm = layer.attention_norm, layer.mlp_norm
        linears = {name: AdaptedLinear(linear, spec, generator) for name, linear in layer.linears.items()}
        self.linears = linears
        self.qkv, self.out = linears["qkv"], linears["out"]
        self.gate_up, self.down = linears["gate_up"], linears["down"]


class Adapter:
    """All layers of the base, adapted. A fresh adapter changes nothing."""

    def __init__(self, base: BaseModel, spec: TrainingSpec) -> None:
        self.base, self.spec = base, spec
        generator = torch.Generator().manual_seed(spec.seed)
        self.layers = [AdaptedLayer(layer, spec, generator) for layer in base.layers]
        self.merge()

    def parameters(self) -> list[Tensor]:
        return [
            tensor
            for layer in self.layers
            for linear in layer.linears.values()
            for tensor in linear.parameters()
        ]

    def merge(self) -> None:
        """Let the next forward pass see the parameters of now."""
        for layer in self.layers:
            for linear in layer.linears.values():
                linear.merge()

    def tensors(self) -> dict[str, Tensor]:
        """`{"layers.0.self_attn.q_proj.lora_A": A [rank, in], ...: B [out, rank]}` without gradients."""
        named: dict[str, Tensor] = {}
        for index, layer in enumerate(self.layers):
            for linear in layer.linears.values():
                for part in linear.parts:
                    name = f"layers.{index}.{part.name}"
                    named[f"{name}.lora_A"] = linear.a[part.ranks].detach()
                    named[f"{name}.lora_B"] = part.b.detach()
        return named


def _parts(linear: FrozenLinear, spec: TrainingSpec) -> tuple[LoraPart, ...]:
    parts: list[LoraPart] = []
    row = 0
    for name, out in linear.members:
        if name.rpartition(".")[2] in spec.target_modules:
            ranks = slice(len(parts) * spec.rank, (len(parts) + 1) * spec.rank)
            parts.append(LoraPart(name, slice(row, row + out), ranks, torch.zeros(out, spec.rank)))
        row += out
    return tuple(parts)
