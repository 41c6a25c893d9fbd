"""The base model's weights as the engine keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import Tensor

from workers.serving.config import LlamaConfig
from workers.serving.errors import StartError
from workers.serving.linear import FloatLinear, Int8Linear, Linear
from workers.serving.lora import FUSED

OUTLIERS = 64  # inputs a fused layer multiplies in fp32 beside its 8-bit product


@dataclass(frozen=True)
class Layer:
    attention_norm: NDArray[np.float32]  # [hidden]
    mlp_norm: NDArray[np.float32]  # [hidden]
    fused: Mapping[str, Linear]  # by the names in FUSED


@dataclass(frozen=True)
class Weights:
    embedding: Tensor  # [vocabulary, hidden]
    norm: NDArray[np.float32]  # [hidden]
    head: Linear
    layers: list[Layer]

    def in_8_bits(self, largest: Mapping[tuple[int, str], Tensor]) -> Weights:
        """The linear layers in 8 bits. `largest [in]`: how large each input of a (layer, name) becomes; the
        head is the layer behind the last. The embedding, of which a token reads one row, stays."""
        torch.backends.quantized.engine = "fbgemm"
        layers = [
            replace(
                layer,
                fused={name: _quantise(part, largest[index, name]) for name, part in layer.fused.items()},
            )
            for index, layer in enumerate(self.layers)
        ]
        return replace(self, layers=layers, head=_quantise(self.head, largest[len(self.layers), "head"]))


def read_weights(folder: Path, config: LlamaConfig) -> Weights:
    """The weights of the safetensors in `folder`, in fp32. Raises StartError where they are absent or
    damaged."""
    try:
        return _fuse(_read_tensors(folder), config)
    except KeyError as missing:
        raise StartError(f"The base model in {folder} lacks {missing}: prepare it again.") from None
    except SafetensorError:
        raise StartError(f"The base model in {folder} can't be read: prepare it again.") from None


def _quantise(part: Linear, largest: Tensor) -> Linear:
    if not isinstance(part, FloatLinear):
        raise TypeError("Only fp32 weights can be quantised.")
    return Int8Linear(part.weight, largest.topk(min(OUTLIERS, largest.shape[0] // 2)).indices)


def _read_tensors(folder: Path) -> dict[str, Tensor]:
    """Every tensor of the folder's safetensors in fp32, memory-mapped where it is fp32 already."""
    tensors: dict[str, Tensor] = {}
    for path in sorted(folder.glob("model*.safetensors")):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 (not a dict)
                tensors[name] = file.get_tensor(name).float()
    if not tensors:
        raise StartError(f"{folder} has no model.safetensors: prepare the base model first.")
    return tensors


def _fuse(tensors: dict[str, Tensor], config: LlamaConfig) -> Weights:
    embedding = tensors["model.embed_tokens.weight"]
    return Weights(
        embedding=embedding,
        norm=tensors["model.norm.weight"].numpy(),
        head=FloatLinear(embedding if config.tied_head else tensors["lm_head.weight"]),
        layers=[_layer(tensors, f"model.layers.{index}.") for index in range(config.layers)],
    )


def _layer(tensors: dict[str, Tensor], prefix: str) -> Layer:
    fused: dict[str, Linear] = {
        name: FloatLinear(torch.cat([tensors[f"{prefix}{module}.weight"] for module in members]))
        for name, members in FUSED.items()
    }
    return Layer(
        tensors[f"{prefix}input_layernorm.weight"].numpy(),
        tensors[f"{prefix}post_attention_layernorm.weight"].numpy(),
        fused,
    )
