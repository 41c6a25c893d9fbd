"""The frozen base of the fast path: a Llama-family decoder in fp32, kept for every run that follows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor
from transformers import AutoConfig, AutoTokenizer, LlamaConfig, PretrainedConfig, PreTrainedTokenizerBase
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from webapp.training.spec import TrainingSpec
from workers.engine.blocks import AttentionShape
from workers.engine.errors import EngineError
from workers.engine.learner import Learner
from workers.engine.weights import Layers, ResidentLayers, StreamedLayers, WeightFiles

FAMILIES = ("llama", "mistral", "qwen2")  # SmolLM is a Llama
# Rotary embeddings whose frequencies are the same for every length of text.
_ROTARY = ("default", "linear", "llama3")
_EMBEDDING, _NORM, _HEAD = "model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"

Stamp = tuple[Path, int, int]


@dataclass(frozen=True)
class BaseModel:
    """A decoder as Llama's (Touvron et al. 2023), its tokenizer, and what it is called."""

    name: str
    revision: str
    stamp: Stamp
    device: torch.device
    files: WeightFiles
    attention: AttentionShape
    eps: float
    context: int  # tokens
    tokenizer: PreTrainedTokenizerBase
    stop_tokens: frozenset[int]
    embedding: Tensor | None  # [vocabulary, hidden]; None: read row by row as it is needed
    norm: Tensor  # [hidden]
    head: Tensor  # [vocabulary, hidden]; the embedding itself where they are tied
    layers: Layers
    inverse_frequencies: Tensor  # [head_dim / 2]

    @classmethod
    def load(cls, folder: Path, *, streamed: bool = False, device: str = "cpu") -> BaseModel:
        """Read the base in `folder`; `streamed` leaves its layers on disk until each is needed.

        Raises EngineError if it is absent, damaged, or not of the fast path.
        """
        try:
            return cls._load(folder, streamed, torch.device(device))
        except (OSError, ValueError, KeyError, IndexError, SafetensorError) as error:
            raise EngineError(f"The base model {folder.name} can't be read: prepare it again.") from error

    @classmethod
    def _load(cls, folder: Path, streamed: bool, device: torch.device) -> BaseModel:
        stamp = stamp_of(folder)
        config: Any = AutoConfig.from_pretrained(folder, local_files_only=True)
        if problem := fast_path_problem(config):
            raise EngineError(f"{problem}: choose another base.")
        files = WeightFiles(folder)
        kind = StreamedLayers if streamed else ResidentLayers
        tied = config.tie_word_embeddings or _HEAD not in files
        head = files.tensor(_EMBEDDING if tied else _HEAD, device)
        embedding = head if tied else None if streamed else files.tensor(_EMBEDDING, device)
        return cls(
            name=name_of(folder),
            revision=revision_of(folder),
            stamp=stamp,
            device=device,
            files=files,
            attention=_attention_shape(config),
            eps=config.rms_norm_eps,
            context=min(config.max_position_embeddings, _window(config) or config.max_position_embeddings),
            tokenizer=AutoTokenizer.from_pretrained(folder, local_files_only=True),
            stop_tokens=stop_tokens_of(folder, config),
            embedding=embedding,
            norm=files.tensor(_NORM, device),
            head=head,
            layers=kind(files, config.num_hidden_layers, device),
            inverse_frequencies=LlamaRotaryEmbedding(config).inv_freq.to(device),
        )

    @property
    def parameters(self) -> int:
        return self.files.parameters

    @property
    def streamed(self) -> bool:
        return isinstance(self.layers, StreamedLayers)

    def is_of(self, folder: Path) -> bool:
        """Whether this is the base that `folder` holds now, also when one was prepared there again."""
        try:
            return self.stamp == stamp_of(folder)
        except OSError:
            return False

    def learner(self, spec: TrainingSpec) -> Learner:
        from workers.engine.fast import FastLearner  # which needs a base to be defined

        return FastLearner(self, spec)

    def embed(self, tokens: Tensor) -> Tensor:
        """`[rows, hidden]`."""
        if self.embedding is not None:
            return self.embedding[tokens]
        present, where = torch.unique(tokens, return_inverse=True)
        return self.files.rows(_EMBEDDING, present, self.device)[where]

    def rotation(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """cos and sin, each `[rows, 1, head_dim / 2]`, that turn the rows at `positions` (Su et al. 2021)."""
        angles = torch.outer(positions.float(), self.inverse_frequencies)[:, None]
        return angles.cos(), angles.sin()


def fast_path_problem(config: PretrainedConfig) -> str | None:
    """Why the fast path can't compute a base with this configuration; None when it can."""
    settings: Any = config
    if settings.model_type not in FAMILIES:
        return f"The fast path knows {', '.join(FAMILIES)}, and this is a “{settings.model_type}”"
    if settings.hidden_act != "silu":
        return f"The fast path knows SiLU, and this base has “{settings.hidden_act}”"
    kind = settings.rope_parameters["rope_type"]
    if kind not in _ROTARY:
        return f"The fast path does not know the “{kind}” rotary positions of this base"
    return None


def stamp_of(folder: Path) -> Stamp:
    """What changes when a base is prepared again. Raises OSError where there is none."""
    stats = [path.stat() for path in folder.glob("model*.safetensors")]
    if not stats:
        raise FileNotFoundError(folder)
    return folder, sum(stat.st_size for stat in stats), max(stat.st_mtime_ns for stat in stats)


def name_of(folder: Path) -> str:
    return str(_about(folder).get("name", folder.name))


def revision_of(folder: Path) -> str:
    """The SHA-256 over the weights as it was written down when they were prepared; empty where nobody did."""
    return str(_about(folder).get("revision", ""))


def _about(folder: Path) -> dict[str, Any]:
    about = folder / "housestyle.json"
    return dict(json.loads(about.read_text("utf-8"))) if about.exists() else {}


def stop_tokens_of(folder: Path, config: Any) -> frozenset[int]:
    """The tokens that end an answer."""
    generation = folder / "generation_config.json"
    stop = json.loads(generation.read_text("utf-8")).get("eos_token_id") if generation.exists() else None
    stop = config.eos_token_id if stop is None else stop
    return frozenset([stop] if isinstance(stop, int) else stop or [])


def _window(config: Any) -> int | None:
    """The sliding window, within which attention is plainly causal: texts are kept that short."""
    if config.model_type == "qwen2" and not config.use_sliding_window:
        return None
    return getattr(config, "sliding_window", None)


def _attention_shape(config: LlamaConfig) -> AttentionShape:
    heads = config.num_attention_heads
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // heads
    return AttentionShape(heads, config.num_key_value_heads or heads, head_dim)
