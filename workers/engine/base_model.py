"""The frozen base model: a Llama in fp32, read once and shared by every run that follows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from transformers import AutoConfig, AutoTokenizer, LlamaConfig, PreTrainedTokenizerBase
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from workers.engine.errors import EngineError

# Linear layers that read the same input are multiplied as one; a checkpoint keeps them apart.
FUSED: dict[str, tuple[str, ...]] = {
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "out": ("self_attn.o_proj",),
    "gate_up": ("mlp.gate_proj", "mlp.up_proj"),
    "down": ("mlp.down_proj",),
}

# Rotary embeddings whose frequencies are the same for every length of text.
_ROTARY = ("default", "linear", "llama3")

Stamp = tuple[Path, int, int]


@dataclass(frozen=True)
class FrozenLinear:
    """The members of one entry of FUSED: their weights below each other, and how many rows each has."""

    weight: Tensor  # [sum of out, in]
    members: tuple[tuple[str, int], ...]  # (name in the layer, out)


@dataclass(frozen=True)
class AttentionShape:
    """How the columns of a fused query-key-value row divide into heads, in that order."""

    heads: int
    kv_heads: int
    head_dim: int

    def by_head(self, qkv: Tensor) -> Tensor:
        """A view `[rows, heads + 2 kv_heads, head_dim]`."""
        return qkv.view(qkv.shape[0], self.heads + 2 * self.kv_heads, self.head_dim)


@dataclass(frozen=True)
class FrozenLayer:
    eps: float
    attention_norm: Tensor  # [hidden]
    mlp_norm: Tensor  # [hidden]
    linears: dict[str, FrozenLinear]  # by the names in FUSED


@dataclass(frozen=True)
class BaseModel:
    """A Llama (Touvron et al. 2023) without gradients, its tokenizer, and what it is called."""

    name: str
    stamp: Stamp
    attention: AttentionShape
    eps: float
    context: int  # tokens
    tokenizer: PreTrainedTokenizerBase
    stop_tokens: frozenset[int]
    embedding: Tensor  # [vocabulary, hidden]
    norm: Tensor  # [hidden]
    head: Tensor  # [vocabulary, hidden]; the embedding itself where they are tied
    layers: tuple[FrozenLayer, ...]
    inverse_frequencies: Tensor  # [head_dim / 2]
    parameters: int

    @classmethod
    def load(cls, folder: Path) -> BaseModel:
        """Read the base prepared in `folder`. Raises EngineError if it is absent, damaged or no Llama."""
        try:
            stamp = _stamp(folder)
            config = _read_config(folder)
            weights = _read_weights(folder)
            embedding = weights["model.embed_tokens.weight"]
            return cls(
                name=_name(folder),
                stamp=stamp,
                attention=_attention_shape(config),
                eps=config.rms_norm_eps,
                context=config.max_position_embeddings,
                tokenizer=AutoTokenizer.from_pretrained(folder, local_files_only=True),
                stop_tokens=_stop_tokens(folder, config),
                embedding=embedding,
                norm=weights["model.norm.weight"],
                head=embedding if config.tie_word_embeddings else weights["lm_head.weight"],
                layers=tuple(
                    _layer(weights, index, config.rms_norm_eps) for index in range(config.num_hidden_layers)
                ),
                inverse_frequencies=LlamaRotaryEmbedding(config).inv_freq,
                parameters=sum(tensor.numel() for tensor in weights.values()),
            )
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise EngineError(f"The base model {folder.name} can't be read: prepare it again.") from error

    def is_of(self, folder: Path) -> bool:
        """Whether this is the base that `folder` holds now, also when one was prepared there again."""
        try:
            return self.stamp == _stamp(folder)
        except OSError:
            return False

    def rotation(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """cos and sin, each `[rows, 1, head_dim / 2]`, that turn the rows at `positions` (Su et al. 2021)."""
        angles = torch.outer(positions.float(), self.inverse_frequencies)[:, None]
        return angles.cos(), angles.sin()


def _stamp(folder: Path) -> Stamp:
    stat = (folder / "model.safetensors").stat()
    return folder, stat.st_size, stat.st_mtime_ns


def _name(folder: Path) -> str:
    about = folder / "housestyle.json"
    return str(json.loads(about.read_text("utf-8"))["name"]) if about.exists() else folder.name


def _read_config(folder: Path) -> LlamaConfig:
    config: Any = AutoConfig.from_pretrained(folder, local_files_only=True)
    if config.model_type != "llama":
        raise EngineError(
            f"Training knows Llama models, and {folder.name} is a “{config.model_type}”: choose another base."
        )
    if config.hidden_act != "silu" or config.attention_bias or config.mlp_bias:
        raise EngineError(
            f"Training knows Llamas with SiLU and without biases, unlike {folder.name}: choose another base."
        )
    if config.rope_parameters["rope_type"] not in _ROTARY:
        kind = config.rope_parameters["rope_type"]
        raise EngineError(
            f"Training does not know the “{kind}” rotary positions of {folder.name}: choose another base."
        )
    return cast(LlamaConfig, config)


def _attention_shape(config: LlamaConfig) -> AttentionShape:
    heads = config.num_attention_heads
    return AttentionShape(
        heads, config.num_key_value_heads or heads, config.head_dim or config.hidden_size // heads
    )


def _stop_tokens(folder: Path, config: LlamaConfig) -> frozenset[int]:
    """The tokens that end an answer."""
    generation = folder / "generation_config.json"
    stop = json.loads(generation.read_text("utf-8")).get("eos_token_id") if generation.exists() else None
    stop = config.eos_token_id if stop is None else stop
    return frozenset([stop] if isinstance(stop, int) else stop or [])


def _read_weights(folder: Path) -> dict[str, Tensor]:
    """Every tensor in fp32; those that are fp32 already stay where the file is mapped."""
    weights: dict[str, Tensor] = {}
    for path in sorted(folder.glob("model*.safetensors")):
        with safe_open(path, framework="pt") as file:
            weights |= {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    return weights


def _layer(weights: dict[str, Tensor], index: int, eps: float) -> FrozenLayer:
    prefix = f"model.layers.{index}."
    linears: dict[str, FrozenLinear] = {}
    for fused, names in FUSED.items():
        parts = [weights[f"{prefix}{name}.weight"] for name in names]
        weight = torch.cat(parts) if len(parts) > 1 else parts[0]
        linears[fused] = FrozenLinear(weight, tuple(zip(names, (len(part) for part in parts), strict=True)))
    return FrozenLayer(
        eps,
        weights[f"{prefix}input_layernorm.weight"],
        weights[f"{prefix}post_attention_layernorm.weight"],
        linears,
    )
