"""The frozen weights of a Llama-family decoder: where they lie, and one layer of them at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Protocol

import torch
from safetensors import safe_open
from torch import Tensor

# Linear layers that read the same input are multiplied as one; a checkpoint keeps them apart.
FUSED: dict[str, tuple[str, ...]] = {
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "out": ("self_attn.o_proj",),
    "gate_up": ("mlp.gate_proj", "mlp.up_proj"),
    "down": ("mlp.down_proj",),
}
ATTENTION_NORM, MLP_NORM = "input_layernorm.weight", "post_attention_layernorm.weight"


@dataclass(frozen=True)
class FrozenLinear:
    """The members of one entry of FUSED: their weights below each other, and how many rows each has."""

    weight: Tensor  # [sum of out, in]
    bias: Tensor | None  # [sum of out]; zero for members without one
    members: tuple[tuple[str, int], ...]  # (name in the layer, out)


@dataclass(frozen=True)
class FrozenLayer:
    attention_norm: Tensor  # [hidden]
    mlp_norm: Tensor  # [hidden]
    linears: Mapping[str, FrozenLinear]  # by the names in FUSED


class WeightFiles:
    """The safetensors of a folder. A file is mapped only while something is read from it, so that what was
    read and is no longer needed does not count as this process's memory."""

    def __init__(self, folder: Path) -> None:
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._paths: dict[str, Path] = {}
        for path in sorted(folder.glob("model*.safetensors")):
            with safe_open(path, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118
                    self._paths[name] = path
                    self._shapes[name] = tuple(file.get_slice(name).get_shape())

    def __contains__(self, name: str) -> bool:
        return name in self._paths

    def shape(self, name: str) -> tuple[int, ...]:
        """Raises KeyError for a tensor that the folder lacks."""
        return self._shapes[name]

    @property
    def parameters(self) -> int:
        return sum(prod(shape) for shape in self._shapes.values())

    def read(self, names: Iterable[str]) -> Iterator[tuple[str, Tensor]]:
        """Each tensor as it lies in its file, mapped: copy it before the next one is asked for."""
        by_path: dict[Path, list[str]] = {}
        for name in names:
            by_path.setdefault(self._paths[name], []).append(name)
        for path, inside in by_path.items():
            with safe_open(path, framework="pt") as file:
                for name in inside:
                    yield name, file.get_tensor(name)

    def tensor(self, name: str, device: torch.device) -> Tensor:
        """One tensor in fp32, copied."""
        return self.rows(name, None, device)

    def rows(self, name: str, rows: Tensor | None, device: torch.device) -> Tensor:
        """Some rows of a matrix in fp32, copied, and nothing else of it; all of them for None."""
        [(_, mapped)] = self.read([name])
        found = mapped.clone() if rows is None else mapped[rows.cpu()]
        return found.to(device, torch.float32)


class LayerSpace:
    """Memory for one layer's weights in fp32, filled again and again."""

    def __init__(self, files: WeightFiles, device: torch.device, like: int = 0) -> None:
        self._files = files
        self._views: dict[str, Tensor] = {}  # where each tensor of a layer goes
        prefix = layer_prefix(like)
        linears = {name: self._linear(members, prefix, device) for name, members in FUSED.items()}
        norms = [self._place(name, files.shape(prefix + name), device) for name in (ATTENTION_NORM, MLP_NORM)]
        self.layer = FrozenLayer(norms[0], norms[1], linears)

    def fill(self, index: int) -> FrozenLayer:
        """The layer `index`, read into this space. Raises KeyError for one that the files lack."""
        prefix = layer_prefix(index)
        for name, mapped in self._files.read(prefix + name for name in self._views):
            self._views[name.removeprefix(prefix)].copy_(mapped)
        return self.layer

    def _linear(self, names: tuple[str, ...], prefix: str, device: torch.device) -> FrozenLinear:
        shapes = [self._files.shape(f"{prefix}{name}.weight") for name in names]
        weight = torch.empty(sum(out for out, _ in shapes), shapes[0][1], device=device)
        biased = any(f"{prefix}{name}.bias" in self._files for name in names)
        bias = torch.zeros(len(weight), device=device) if biased else None
        row = 0
        for name, (out, _) in zip(names, shapes, strict=True):
            self._views[f"{name}.weight"] = weight[row : row + out]
            if bias is not None and f"{prefix}{name}.bias" in self._files:
                self._views[f"{name}.bias"] = bias[row : row + out]
            row += out
        return FrozenLinear(weight, bias, tuple(zip(names, (out for out, _ in shapes), strict=True)))

    def _place(self, name: str, shape: tuple[int, ...], device: torch.device) -> Tensor:
        return self._views.setdefault(name, torch.empty(shape, device=device))


class Layers(Protocol):
    """The decoder layers of a base. Asking says which layer will be needed next."""

    def __len__(self) -> int: ...

    @property
    def like(self) -> FrozenLayer:
        """A layer, for its shapes."""

    def at(self, index: int, then: int) -> FrozenLayer:
        """The layer `index`. Streamed weights hold until the next call."""


class ResidentLayers:
    """All layers in memory."""

    def __init__(self, files: WeightFiles, count: int, device: torch.device) -> None:
        self._layers = [LayerSpace(files, device, index).fill(index) for index in range(count)]

    def __len__(self) -> int:
        return len(self._layers)

    @property
    def like(self) -> FrozenLayer:
        return self._layers[0]

    def at(self, index: int, then: int) -> FrozenLayer:
        return self._layers[index]


class StreamedLayers:
    """Two layers in memory, however many there are: one in use and the next on its way from the disk."""

    def __init__(self, files: WeightFiles, count: int, device: torch.device) -> None:
        self._count = count
        self._spaces = [LayerSpace(files, device), LayerSpace(files, device)]
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="weights")
        self._coming: tuple[int, Future[FrozenLayer]] | None = None
        self._turn = 0

    def __len__(self) -> int:
        return self._count

    @property
    def like(self) -> FrozenLayer:
        return self._spaces[0].layer

    def at(self, index: int, then: int) -> FrozenLayer:
        coming, self._coming = self._coming, None
        if coming is not None:
            found = coming[1].result()  # waited for in any case: its space is written to until then
        if coming is None or coming[0] != index:
            found = self._start(index).result()
        self._coming = then, self._start(then)
        return found

    def _start(self, index: int) -> Future[FrozenLayer]:
        self._turn = 1 - self._turn
        return self._reader.submit(self._spaces[self._turn].fill, index)


def layer_prefix(index: int) -> str:
    return f"model.layers.{index}."
