"""What a training run is asked to do. Standard library only: form, API, job and engine share it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ATTENTION_MODULES = ("q_proj", "k_proj", "v_proj", "o_proj")
MLP_MODULES = ("gate_proj", "up_proj", "down_proj")
TARGETS: dict[str, tuple[str, ...]] = {
    "all-linear": ATTENTION_MODULES + MLP_MODULES,
    "attention": ATTENTION_MODULES,
}
SCHEDULES = ("cosine", "linear", "constant")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
MODES = ("auto", "resident", "nf4", "streamed")

MIN_RANK, MAX_RANK = 4, 64
MAX_LAYERS = 1000

# Kinds of adapters that PEFT can train and the serving engines can't load, by PEFT's names for them.
UNSERVABLE = {
    "use_dora": "DoRA adapters cannot be loaded by the serving engines: leave use_dora out.",
    "modules_to_save": "Modules trained whole cannot be loaded by the serving engines: leave modules_to_save "
    "out.",
    "train_embeddings": "Trained embeddings cannot be loaded by the serving engines: leave train_embeddings "
    "out.",
    "bias": "Trained biases cannot be loaded by the serving engines: leave bias out.",
    "rank_pattern": "Every layer of an adapter must have the same rank: leave rank_pattern out.",
    "alpha_pattern": "Every layer of an adapter must have the same alpha: leave alpha_pattern out.",
}
_OFF: tuple[Any, ...] = (False, None, "", "none", "None", "false", "False")

_CHOICES = {"target": tuple(TARGETS), "schedule": SCHEDULES, "precision": PRECISIONS, "mode": MODES}
_RANGES: dict[str, tuple[float, float]] = {
    "alpha": (1, 256),
    "dropout": (0, 0.5),
    "learning_rate": (1e-6, 1e-2),
    "warmup_share": (0, 0.5),
    "epochs": (1, 20),
    "batch_size": (1, 256),
    "batch_tokens": (64, 262_144),
    "max_length": (64, 8192),
    "max_steps": (0, 100_000),
    "evaluations": (1, 100),
    "patience": (0, 100),
    "seed": (0, 2**31 - 1),
}


class SpecError(ValueError):
    """Every problem of a spec at once. `problems` maps a field to one sentence."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        self.problems = dict(problems)
        super().__init__(" ".join(self.problems.values()))


@dataclass(frozen=True, kw_only=True)
class TrainingSpec:
    """LoRA hyperparameters (Hu et al. 2021) and the schedule of one run.

    The update is ``W + scaling * B @ A`` with ``A [rank, in]`` and ``B [out, rank]``; scaling is
    ``alpha / rank``, or ``alpha / sqrt(rank)`` with `rslora` (Kalajdzievski 2023). `layers` counts the
    topmost decoder layers that learn; 0 means all. With fewer, what lies below them is computed once (frozen
    prefix).

    `batch_size` counts examples per optimiser step, `batch_tokens` the tokens computed at once: a step that
    holds more of them is computed in parts, with the same result. `max_length` counts tokens per example.
    `max_steps` ends a run early; 0 means as many steps as the epochs need. `evaluations` is how often the
    held-out loss is measured on the way; after `patience` of them without a better one the run ends (0:
    never). `mode` is where the frozen weights stay; “auto” takes the first that fits.
    Raises SpecError from `TrainingSpec.parse` and `check`.
    """

    rank: int = 16
    alpha: float = 32.0
    rslora: bool = False
    dropout: float = 0.0
    target: str = "all-linear"
    layers: int = 0
    learning_rate: float = 1e-3
    schedule: str = "cosine"
    warmup_share: float = 0.1
    epochs: int = 1
    batch_size: int = 8
    batch_tokens: int = 1536
    max_length: int = 1024
    max_steps: int = 0
    evaluations: int = 8
    patience: int = 3
    precision: str = "auto"
    mode: str = "auto"
    seed: int = 0

    @property
    def target_modules(self) -> tuple[str, ...]:
        return TARGETS[self.target]

    @property
    def scaling(self) -> float:
        return self.alpha / (math.sqrt(self.rank) if self.rslora else self.rank)

    def first_layer(self, layers: int) -> int:
        """The lowest of `layers` decoder layers that learns, counted from 0."""
        return max(0, layers - self.layers) if self.layers else 0

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def parse(
        cls, values: Mapping[str, Any], *, max_rank: int = MAX_RANK, max_layers: int = MAX_LAYERS
    ) -> TrainingSpec:
        """A checked spec from untrusted values; fields left out keep their defaults.

        `max_rank` is the highest rank that the serving engines load, `max_layers` how many the base has.
        """
        problems: dict[str, str] = {}
        defaults = {field.name: field.default for field in dataclasses.fields(cls)}
        parsed: dict[str, Any] = {}
        for name, value in values.items():
            if name in UNSERVABLE:
                if value not in _OFF:
                    problems[name] = UNSERVABLE[name]
            elif name not in defaults:
                problems[name] = f"“{name}” is not a setting of a training run."
            else:
                wanted = type(defaults[name])
                try:
                    parsed[name] = _convert(value, wanted)
                except (TypeError, ValueError):
                    problems[name] = f"{_label(name)} must be {_KINDS[wanted]}."
        spec = cls(**parsed)
        problems = {**spec._problems(max_rank, max_layers), **problems}
        if problems:
            raise SpecError(problems)
        return spec

    def check(self) -> None:
        problems = self._problems(MAX_RANK, MAX_LAYERS)
        if problems:
            raise SpecError(problems)

    def _problems(self, max_rank: int, max_layers: int) -> dict[str, str]:
        problems: dict[str, str] = {}
        ranges = {"rank": (MIN_RANK, max_rank), "layers": (0, max_layers), **_RANGES}
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not (math.isfinite(value) and low <= value <= high):
                problems[name] = f"{_label(name)} must be between {low:g} and {high:g}; {value:g} was given."
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                problems[name] = f"{_label(name)} must be one of {', '.join(choices)}; “{value}” was given."
        return problems


_KINDS = {int: "a whole number", float: "a number", str: "a word", bool: "on or off"}
_SWITCH = {"true": True, "on": True, "1": True, "false": False, "off": False, "0": False}


def _label(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _convert(value: Any, wanted: type) -> Any:
    if wanted is bool:
        return value if isinstance(value, bool) else _switch(value)
    if isinstance(value, bool):
        raise TypeError(value)
    if wanted is int and isinstance(value, float) and not value.is_integer():
        raise ValueError(value)
    if wanted is str and not isinstance(value, str):
        raise TypeError(value)
    return wanted(value)


def _switch(word: Any) -> bool:
    if not isinstance(word, str) or word.lower() not in _SWITCH:
        raise ValueError(word)
    return _SWITCH[word.lower()]
