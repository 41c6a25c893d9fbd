"""What the engine needs to know of a Llama, read from the `config.json` that transformers writes."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers.serving.errors import StartError


@dataclass(frozen=True, kw_only=True)
class LlamaConfig:
    """Sizes of a Llama-family model, and how its positions are rotated."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocabulary: int
    context: int
    rms_eps: float
    tied_head: bool
    inverse_frequencies: tuple[float, ...]
    stop_tokens: frozenset[int]

    @classmethod
    def read(cls, folder: Path) -> LlamaConfig:
        """The configuration of the model in `folder`. Raises StartError for one that is no plain Llama."""
        values = _read_json(folder / "config.json")
        _refuse_other_models(values)
        generation = folder / "generation_config.json"
        stop = (_read_json(generation) if generation.exists() else {}).get("eos_token_id")
        if stop is None:
            stop = values.get("eos_token_id")
        heads = values["num_attention_heads"]
        head_dim = values.get("head_dim") or values["hidden_size"] // heads
        return cls(
            hidden=values["hidden_size"],
            layers=values["num_hidden_layers"],
            heads=heads,
            kv_heads=values.get("num_key_value_heads") or heads,
            head_dim=head_dim,
            intermediate=values["intermediate_size"],
            vocabulary=values["vocab_size"],
            context=values["max_position_embeddings"],
            rms_eps=values["rms_norm_eps"],
            tied_head=values.get("tie_word_embeddings", False),
            inverse_frequencies=_inverse_frequencies(values, head_dim),
            stop_tokens=frozenset([stop] if isinstance(stop, int) else stop or []),
        )

    def linear_shapes(self) -> dict[str, tuple[int, int]]:
        """(out, in) of every linear layer that LoRA may change, by its name in a checkpoint."""
        queries, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        return {
            "self_attn.q_proj": (queries, self.hidden),
            "self_attn.k_proj": (keys, self.hidden),
            "self_attn.v_proj": (keys, self.hidden),
            "self_attn.o_proj": (self.hidden, queries),
            "mlp.gate_proj": (self.intermediate, self.hidden),
            "mlp.up_proj": (self.intermediate, self.hidden),
            "mlp.down_proj": (self.hidden, self.intermediate),
        }


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        raise StartError(f"{path.parent} has no {path.name}: prepare the base model first.") from None
    except ValueError:
        raise StartError(
            f"{path.name} in {path.parent} is not valid JSON: prepare the base model again."
        ) from None


def _refuse_other_models(values: dict[str, Any]) -> None:
    if values.get("model_type") != "llama":
        raise StartError(
            f"This engine serves Llama models, not “{values.get('model_type')}”: choose another base."
        )
    if values.get("hidden_act", "silu") != "silu" or values.get("attention_bias") or values.get("mlp_bias"):
        raise StartError("This engine serves Llama models with SiLU and without biases: choose another base.")


def _inverse_frequencies(values: dict[str, Any], head_dim: int) -> tuple[float, ...]:
    """RoPE's theta^(-2i/d) for i < d/2 (Su et al. 2021), scaled as the model was trained.

    transformers 5 stores `rope_parameters`; 4 stored `rope_theta` and `rope_scaling`.
    """
    rope = values.get("rope_parameters") or {
        "rope_theta": values.get("rope_theta", 10_000.0),
        **(values.get("rope_scaling") or {}),
    }
    theta, kind = rope.get("rope_theta", 10_000.0), rope.get("rope_type", rope.get("type", "default"))
    plain = [theta ** (-2 * i / head_dim) for i in range(head_dim // 2)]
    if kind == "default":
        return tuple(plain)
    if kind == "linear":
        return tuple(frequency / rope["factor"] for frequency in plain)
    if kind == "llama3":
        return tuple(_llama3(frequency, rope) for frequency in plain)
    raise StartError(f"This engine does not know the “{kind}” kind of rotary positions: choose another base.")


def _llama3(frequency: float, rope: dict[str, Any]) -> float:
    """Llama 3.1's rule: long waves are slowed by `factor`, short ones kept, those between interpolated."""
    turns = rope["original_max_position_embeddings"] * frequency / (2 * math.pi)
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    kept = min(max((turns - low) / (high - low), 0.0), 1.0)
    return float(frequency * (kept + (1 - kept) / rope["factor"]))
