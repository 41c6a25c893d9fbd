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

MIN_RANK, MAX_RANK = 4, 64


class SpecError(ValueError):
    """Every problem of a spec at once. `problems` maps a field to one sentence."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        self.problems = dict(problems)
        super().__init__(" ".join(self.problems.values()))


@dataclass(frozen=True, kw_only=True)
class TrainingSpec:
    """LoRA hyperparameters (Hu et al. 2021) and the schedule of one run.

    The update is ``W + (alpha / rank) * B @ A`` with ``A [rank, in]`` and ``B [out, rank]``.
    `batch_size` counts examples per optimiser step, `max_length` counts tokens per example.
    `max_steps` ends a run early; 0 means as many steps as the epochs need.
    Raises SpecError from `TrainingSpec.parse` and `check`.
    """

    rank: int = 16
    alpha: float = 32.0
    target: str = "all-linear"
    learning_rate: float = 1e-3
    warmup_share: float = 0.1
    epochs: int = 1
    batch_size: int = 4
    max_length: int = 1024
    max_steps: int = 0
    seed: int = 0

    @property
    def target_modules(self) -> tuple[str, ...]:
        return TARGETS[self.target]

    @property
    def scaling(self) -> float:
        return self.alpha / self.rank

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> TrainingSpec:
        """A checked spec from untrusted values; fields left out keep their defaults."""
        problems: dict[str, str] = {}
        fields = {field.name: field for field in dataclasses.fields(cls)}
        parsed: dict[str, Any] = {}
        for name, value in values.items():
            field = fields.get(name)
            if field is None:
                problems[name] = f"“{name}” is not a setting of a training run."
                continue
            wanted = type(field.default)
            try:
                parsed[name] = _convert(value, wanted)
            except (TypeError, ValueError):
                kind = "a whole number" if wanted is int else "a number" if wanted is float else "a word"
                problems[name] = f"{_label(name)} must be {kind}."
        spec = cls(**parsed)
        problems = {**spec._problems(), **problems}
        if problems:
            raise SpecError(problems)
        return spec

    def check(self) -> None:
        problems = self._problems()
        if problems:
            raise SpecError(problems)

    def _problems(self) -> dict[str, str]:
        problems: dict[str, str] = {}

        def within(name: str, low: float, high: float) -> None:
            value = getattr(self, name)
            if not (math.isfinite(value) and low <= value <= high):
                problems[name] = f"{_label(name)} must be between {low:g} and {high:g}; {value:g} was given."

        within("rank", MIN_RANK, MAX_RANK)
        within("alpha", 1, 256)
        within("learning_rate", 1e-6, 1e-2)
        within("warmup_share", 0, 0.5)
        within("epochs", 1, 20)
        within("batch_size", 1, 64)
        within("max_length", 64, 8192)
        within("max_steps", 0, 100_000)
        within("seed", 0, 2**31 - 1)
        if self.target not in TARGETS:
            problems["target"] = f"Target must be one of {', '.join(TARGETS)}; “{self.target}” was given."
        return problems


def _label(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _convert(value: Any, wanted: type) -> Any:
    if isinstance(value, bool):
        raise TypeError(value)
    if wanted is int and isinstance(value, float) and not value.is_integer():
        raise ValueError(value)
    if wanted is str and not isinstance(value, str):
        raise TypeError(value)
    return wanted(value)
