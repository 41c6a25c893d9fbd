"""A LoRA adapter in training (Hu et al. 2021): the only parameters that change.

    y = x Wᵀ + s drop(x) Aᵀ Bᵀ        A [rank, in], B [out, rank], s = alpha / rank

Without dropout W_eff = W + s B A is made once per optimiser step, so that a forward pass is the plain
y = x W_effᵀ.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from webapp.training.spec import TrainingSpec
from workers.engine.weights import FrozenLayer, FrozenLinear


@dataclass(frozen=True)
class LoraPart:
    """One target module: its rows of the fused weight, its rows of the fused A, and its own B."""

    name: str
    out: slice
    ranks: slice
    b: Tensor  # [out, rank]


@dataclass(frozen=True)
class Draw:
    """Which dropout mask is meant: the same again in the backward pass, and after a restart."""

    seed: int
    step: int
    part: int

    def mask(self, x: Tensor, place: int, probability: float) -> Tensor:
        """`x`'s shape: 0 with `probability`, else 1 / (1 − probability)."""
        key = hash((self.seed, self.step, self.part, place)) & 0x7FFF_FFFF_FFFF_FFFF
        generator = torch.Generator(x.device).manual_seed(key)
        keep = 1 - probability
        return torch.empty_like(x).bernoulli_(keep, generator=generator).div_(keep)


class LoraLinear:
    """A and B of the target modules among linear layers that read the same input."""

    def __init__(self, place: int, linear: FrozenLinear, spec: TrainingSpec, random: torch.Generator) -> None:
        device, columns = linear.weight.device, linear.weight.shape[1]
        self._place, self._scaling, self._dropout = place, spec.scaling, spec.dropout
        self.parts = _parts(linear, spec)
        # As PEFT begins: A is Kaiming-uniform with a = √5, which is U(±1/√in), and B is 0, so that W_eff = W.
        a = torch.empty(len(self.parts) * spec.rank, columns)  # one target's A below the other's
        a.uniform_(-1 / math.sqrt(columns), 1 / math.sqrt(columns), generator=random)
        self.a = a.to(device)
        for parameter in self.parameters():
            parameter.requires_grad_()

    def parameters(self) -> tuple[Tensor, ...]:
        """A and every B; none where no module is a target."""
        return (self.a, *(part.b for part in self.parts)) if self.parts else ()

    @property
    def merges(self) -> bool:
        """Whether W_eff stands for both terms of y."""
        return bool(self.parts) and not self._dropout

    @torch.no_grad()
    def merge(self, frozen: Tensor, out: Tensor) -> None:
        """Write W_eff `[sum of out, in]` to `out`, which may be `frozen` itself."""
        for part in self.parts:
            a = self.a[part.ranks]
            torch.addmm(frozen[part.out], part.b, a, alpha=self._scaling, out=out[part.out])

    def add(self, y: Tensor, x: Tensor, draw: Draw | None) -> None:
        """y += s drop(x) Aᵀ Bᵀ, in place."""
        u = self._dropped(x, draw) @ self.a.t()
        for part in self.parts:
            y[:, part.out].addmm_(u[:, part.ranks], part.b.t(), alpha=self._scaling)

    def add_backward(self, dx: Tensor, dy: Tensor, draw: Draw | None) -> None:
        """dx += s drop'(dy B A), in place."""
        du = torch.cat([dy[:, part.out] @ part.b for part in self.parts], dim=1)
        through = (du @ self.a).mul_(self._scaling)
        dx += through if draw is None else through.mul_(draw.mask(through, self._place, self._dropout))

    def gradients(self, x: Tensor, dy: Tensor, draw: Draw | None) -> tuple[Tensor, ...]:
        """The gradients of `parameters()`, in their order, from input `[rows, in]` and dy `[rows, out]`.

        With u = drop(x) Aᵀ:  dB = s dyᵀ u,  du = s dy B,  dA = duᵀ drop(x).
        """
        if not self.parts:
            return ()
        dropped = self._dropped(x, draw)
        u = dropped @ self.a.t()
        du = torch.empty_like(u)
        db = []
        for part in self.parts:
            dy_part = dy[:, part.out]
            db.append((dy_part.t() @ u[:, part.ranks]).mul_(self._scaling))
            du[:, part.ranks] = dy_part @ part.b
        da = (du.t() @ dropped).mul_(self._scaling)
        return (da, *db)

    def _dropped(self, x: Tensor, draw: Draw | None) -> Tensor:
        return x if draw is None else x * draw.mask(x, self._place, self._dropout)


class AdaptedLinear:
    """Frozen linear layers with LoRA beside them or merged into them."""

    def __init__(self, frozen: FrozenLinear, lora: LoraLinear | None, weight: Tensor) -> None:
        """`weight` is W_eff where `lora` merges, else the frozen weight itself."""
        self.weight, self.bias, self._lora = weight, frozen.bias, lora

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        return () if self._lora is None else self._lora.parameters()

    def forward(self, x: Tensor, draw: Draw | None) -> Tensor:
        """y `[rows, out]` from x `[rows, in]`."""
        y = x @ self.weight.t() if self.bias is None else torch.addmm(self.bias, x, self.weight.t())
        if self._beside is not None:
            self._beside.add(y, x, draw)
        return y

    def input_gradient(self, dy: Tensor, draw: Draw | None) -> Tensor:
        dx = dy @ self.weight
        if self._beside is not None:
            self._beside.add_backward(dx, dy, draw)
        return dx

    def gradients(self, x: Tensor, dy: Tensor, draw: Draw | None) -> tuple[Tensor, ...]:
        """Of `parameters`, in their order."""
        return () if self._lora is None else self._lora.gradients(x, dy, draw)

    @property
    def _beside(self) -> LoraLinear | None:
        """LoRA that is not part of the weight."""
        return self._lora if self._lora is not None and self._lora.parts and not self._lora.merges else None


class AdaptedLayer:
    """One decoder layer as the passes see it."""

    def __init__(self, frozen: FrozenLayer, eps: float, linears: dict[str, AdaptedLinear]) -> None:
        self.eps, self.linears = eps, linears
        self.attention_norm, self.mlp_norm = frozen.attention_norm, frozen.mlp_norm
        self.qkv, self.out = linears["qkv"], linears["out"]
        self.gate_up, self.down = linears["gate_up"], linears["down"]

    @classmethod
    def plain(cls, frozen: FrozenLayer, eps: float) -> AdaptedLayer:
        """Without an adapter."""
        return cls(
            frozen,
            eps,
            {name: AdaptedLinear(linear, None, linear.weight) for name, linear in frozen.linears.items()},
        )

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        return tuple(parameter for linear in self.linears.values() for parameter in linear.parameters)


class Adapter:
    """A and B of every layer from `first` on. A fresh adapter changes nothing."""

    def __init__(self, like: FrozenLayer, layers: int, spec: TrainingSpec) -> None:
        """`like` is any layer of the base: all have the same shapes."""
        self.spec, self.first = spec, spec.first_layer(layers)
        random = torch.Generator().manual_seed(spec.seed)
        # Numbers are drawn for all layers, so that those of a layer don't depend on how many learn.
        drawn = [self._layer(index, like, spec, random) for index in range(layers)]
        self.layers = drawn[self.first :]

    def of(self, index: int) -> dict[str, LoraLinear]:
        """Layer `index` of the base, by the names in FUSED."""
        return self.layers[index - self.first]

    def parameters(self) -> list[Tensor]:
        return [parameter for _, linear in self._linears() for parameter in linear.parameters()]

    def tensors(self) -> dict[str, Tensor]:
        """`{"layers.0.self_attn.q_proj.lora_A": A [rank, in], ...: B [out, rank]}` without gradients."""
        named: dict[str, Tensor] = {}
        for index, linear in self._linears():
            for part in linear.parts:
                name = f"layers.{index}.{part.name}"
                named[f"{name}.lora_A"] = linear.a[part.ranks].detach()
                named[f"{name}.lora_B"] = part.b.detach()
        return named

    def _linears(self) -> Iterator[tuple[int, LoraLinear]]:
        for index, layer in enumerate(self.layers, self.first):
            for linear in layer.values():
                yield index, linear

    @staticmethod
    def _layer(
        index: int, like: FrozenLayer, spec: TrainingSpec, random: torch.Generator
    ) -> dict[str, LoraLinear]:
        return {
            name: LoraLinear(len(like.linears) * index + place, linear, spec, random)
            for place, (name, linear) in enumerate(like.linears.items())
        }


def _parts(linear: FrozenLinear, spec: TrainingSpec) -> tuple[LoraPart, ...]:
    parts: list[LoraPart] = []
    row = 0
    for name, out in linear.members:
        if name.rpartition(".")[2] in spec.target_modules:
            ranks = slice(len(parts) * spec.rank, (len(parts) + 1) * spec.rank)
            b = torch.zeros(out, spec.rank, device=linear.weight.device)
            parts.append(LoraPart(name, slice(row, row + out), ranks, b))
        row += out
    return tuple(parts)
