"""What a model is made of, read from its `config.json` alone: no weights, no model libraries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from webapp.training.spec import ATTENTION_MODULES, MLP_MODULES, TrainingSpec


class ShapeError(ValueError):
    """A configuration that the estimator does not know. Its text is one sentence for the person."""


@dataclass(frozen=True)
class Family:
    """What a family's class fixes, and what it assumes where `config.json` says nothing.

    As transformers' configuration classes of these names do: files written by others leave defaults out.
    """

    kv_heads: int | None = None  # None: as many as heads
    head_dim: int | None = None  # None: hidden / heads
    tied: bool = False
    qkv_bias: bool | None = None  # None: as `attention_bias` says
    output_bias: bool | None = None
    mlp_bias: bool | None = False
    norms: int = 2  # a layer's, each [hidden]
    head_norms: bool = False  # of queries and of keys, each [head_dim]


FAMILIES: dict[str, Family] = {
    "llama": Family(mlp_bias=None),
    "mistral": Family(kv_heads=8, qkv_bias=False, output_bias=False),
    "qwen2": Family(kv_heads=32, qkv_bias=True, output_bias=False),
    "qwen3": Family(kv_heads=32, head_dim=128, head_norms=True),
    "gemma": Family(kv_heads=16, head_dim=256, tied=True),
    "gemma2": Family(kv_heads=4, head_dim=256, tied=True, norms=4),
    "gemma3_text": Family(kv_heads=4, head_dim=256, tied=True, norms=4, head_norms=True),
}
# Those whose decoder is Llama's, bias-free: the engine's own forward and backward passes.
FAST_PATH = ("llama", "mistral", "qwen2")
ELEMENT_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The sizes of a decoder. A linear layer's are `(in, out)`."""

    family: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocabulary: int
    tied: bool
    qkv_bias: bool
    output_bias: bool
    mlp_bias: bool
    norms: int
    head_norms: bool
    context: int  # tokens
    stored_bytes: int  # of a weight in its file

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Shape:
        """The shape that a `config.json` describes. Raises ShapeError, with all that is wrong at once."""
        family = FAMILIES.get(str(config.get("model_type")))
        if family is None:
            raise ShapeError(
                f"The cost of a “{config.get('model_type', 'nameless')}” model is not known: it is for "
                f"{', '.join(FAMILIES)}."
            )
        sizes = ("num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size", "vocab_size")
        problems = [
            f"{name} must be a whole number above 0, and is {config.get(name)!r}."
            for name in sizes
            if not _is_size(config.get(name))
        ]
        optional = ("num_key_value_heads", "head_dim")
        problems += [
            f"{name} must be a whole number above 0, and is {config[name]!r}."
            for name in optional
            if config.get(name) is not None and not _is_size(config[name])
        ]
        dtype = config.get("dtype") or config.get("torch_dtype") or "bfloat16"
        if dtype not in ELEMENT_BYTES:
            problems.append(f"dtype must be one of {', '.join(ELEMENT_BYTES)}, and is {dtype!r}.")
        if problems:
            raise ShapeError(f"This config.json can't be used: {' '.join(problems)}")
        heads = config["num_attention_heads"]
        bias = bool(config.get("attention_bias", False))
        said_kv = config.get("num_key_value_heads", family.kv_heads)
        said_dim = config.get("head_dim", family.head_dim)
        return cls(
            family=config["model_type"],
            layers=config["num_hidden_layers"],
            hidden=config["hidden_size"],
            heads=heads,
            kv_heads=heads if said_kv is None else said_kv,
            head_dim=config["hidden_size"] // heads if said_dim is None else said_dim,
            intermediate=config["intermediate_size"],
            vocabulary=config["vocab_size"],
            tied=bool(config.get("tie_word_embeddings", family.tied)),
            qkv_bias=bias if family.qkv_bias is None else family.qkv_bias,
            output_bias=bias if family.output_bias is None else family.output_bias,
            mlp_bias=bool(config.get("mlp_bias", False)) if family.mlp_bias is None else family.mlp_bias,
            norms=family.norms,
            head_norms=family.head_norms,
            context=config.get("max_position_embeddings") or 2048,
            stored_bytes=ELEMENT_BYTES[dtype],
        )

    @property
    def linears(self) -> dict[str, tuple[int, int]]:
        """The linear layers of one decoder layer, by PEFT's names for target modules: `(in, out)`."""
        queries, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        return {
            "q_proj": (self.hidden, queries),
            "k_proj": (self.hidden, keys),
            "v_proj": (self.hidden, keys),
            "o_proj": (queries, self.hidden),
            "gate_proj": (self.hidden, self.intermediate),
            "up_proj": (self.hidden, self.intermediate),
            "down_proj": (self.intermediate, self.hidden),
        }

    def matrix(self, names: tuple[str, ...] = ATTENTION_MODULES + MLP_MODULES) -> int:
        """The weights of these linear layers of one decoder layer, biases left out."""
        return sum(rows * columns for rows, columns in (self.linears[name] for name in names))

    @property
    def layer_parameters(self) -> int:
        """Of one decoder layer: linear layers, their biases, and norms."""
        linears = self.linears
        biased = [
            *(("q_proj", "k_proj", "v_proj") if self.qkv_bias else ()),
            *(("o_proj",) if self.output_bias else ()),
            *(MLP_MODULES if self.mlp_bias else ()),
        ]
        biases = sum(linears[name][1] for name in biased)
        norms = self.norms * self.hidden + (2 * self.head_dim if self.head_norms else 0)
        return self.matrix() + biases + norms

    @property
    def embedding(self) -> int:
        """Weights of the embedding, and as many of the head: they are the same ones where `tied`."""
        return self.vocabulary * self.hidden

    @property
    def parameters(self) -> int:
        """All of the base's."""
        ends = self.embedding if self.tied else 2 * self.embedding
        return self.layers * self.layer_parameters + ends + self.hidden

    @property
    def stored(self) -> int:
        """Bytes of its weights on disk."""
        return self.parameters * self.stored_bytes

    def learning_layers(self, spec: TrainingSpec) -> int:
        """How many decoder layers have an adapter, counted from the top."""
        return self.layers - spec.first_layer(self.layers)

    def trainable(self, spec: TrainingSpec) -> int:
        """Parameters of the adapter: r (in + out) for every target module of every layer that learns."""
        ends = sum(sum(self.linears[name]) for name in spec.target_modules)
        return self.learning_layers(spec) * spec.rank * ends


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
