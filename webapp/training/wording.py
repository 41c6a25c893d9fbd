"""The settings of a run in words: labels, what each one does, and its values as a person says them.

Form, page and API share them; their bounds are TrainingSpec's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from webapp.training.spec import MAX_RANK, MIN_RANK, TrainingSpec

Value = Any  # of a TrainingSpec's field


@dataclass(frozen=True)
class Setting:
    """One field of TrainingSpec. `choices` maps its values to words; `says` puts any other value in words."""

    name: str
    label: str
    help: str
    choices: Mapping[str, str] | None = None
    is_switch: bool = False
    says: Callable[[Value], str] = str

    def in_words(self, value: Value) -> str:
        return self.choices[value] if self.choices else self.says(value)


def _number(value: float) -> str:
    return f"{value:g}"


def _or(word: str) -> Callable[[Value], str]:
    """A number, where 0 has a meaning of its own."""
    return lambda value: _number(value) if value else word


def _grouped(value: int) -> str:
    return f"{value:,}"


TARGET_WORDS = {"all-linear": "All linear layers", "attention": "Attention only"}
SCHEDULE_WORDS = {
    "cosine": "Cosine: falls gently, then steeply, to nothing",
    "linear": "Linear: falls evenly to nothing",
    "constant": "Constant: stays as it is",
}
PRECISION_WORDS = {
    "auto": "Automatic: what the device is fastest with",
    "fp32": "fp32, 32 bits",
    "bf16": "bf16, 16 bits",
    "fp16": "fp16, 16 bits",
}
MODE_WORDS = {
    "auto": "Automatic: the first that fits",
    "resident": "Whole in memory",
    "nf4": "In memory, pressed to 4 bits (NVIDIA GPUs)",
    "streamed": "One layer at a time from disk",
}

GROUPS: dict[str, tuple[Setting, ...]] = {
    "The adapter": (
        Setting("rank", "Rank", f"How much the adapter can hold: {MIN_RANK} to {MAX_RANK}."),
        Setting(
            "alpha",
            "Alpha",
            "How strongly the adapter speaks; usually twice the rank: 1 to 256.",
            says=_number,
        ),
        Setting(
            "rslora",
            "Scale by the root of the rank (rsLoRA)",
            "Steadier at high ranks. Divides alpha by √rank, not by the rank.",
            is_switch=True,
            says=lambda on: "On" if on else "Off",
        ),
        Setting(
            "dropout",
            "Dropout",
            "The share of the adapter's inputs left out at random, against learning by heart: 0 to 0.5.",
            says=_or("None"),
        ),
        Setting("target", "What learns", "Which matrices of a layer get an adapter.", choices=TARGET_WORDS),
        Setting(
            "layers",
            "Layers that learn",
            "Counted from the top; 0 means all. What lies below is computed once and then reused, so that "
            "later epochs cost less.",
            says=_or("All"),
        ),
    ),
    "The schedule": (
        Setting("learning_rate", "Learning rate", "How large each step is: 0.000001 to 0.01.", says=_number),
        Setting(
            "schedule", "Course of the learning rate", "How it changes on the way.", choices=SCHEDULE_WORDS
        ),
        Setting(
            "warmup_share",
            "Warm-up",
            "The share of the steps in which the learning rate rises from nothing: 0 to 0.5.",
            says=_number,
        ),
        Setting("epochs", "Epochs", "How often all examples are read: 1 to 20."),
        Setting("batch_size", "Examples a step", "How many examples each step learns from: 1 to 256."),
        Setting(
            "max_steps",
            "Most steps",
            "The run ends after so many; 0 means as many as the epochs need.",
            says=lambda steps: _grouped(steps) if steps else "As many as the epochs need",
        ),
        Setting(
            "max_length",
            "Longest example",
            "In tokens (about ¾ of a word), 64 to 8,192. Longer examples are cut.",
            says=lambda tokens: f"{tokens:,} tokens",
        ),
        Setting(
            "evaluations",
            "Measurements on the way",
            "How often the held-out loss is measured and the three prompts are answered: 1 to 100.",
        ),
        Setting(
            "patience",
            "Patience",
            "After so many measurements without a better one the run ends; 0 means never.",
            says=_or("Never ends early"),
        ),
        Setting("seed", "Seed", "The same seed and dataset give the same adapter."),
    ),
    "The machine": (
        Setting(
            "batch_tokens",
            "Tokens at once",
            "A step with more is computed in parts, with the same result and less memory: 64 to 262,144.",
            says=_grouped,
        ),
        Setting("precision", "Precision", "Of the numbers it computes with.", choices=PRECISION_WORDS),
        Setting("mode", "Where the base stays", "While the adapter learns.", choices=MODE_WORDS),
    ),
}
SETTINGS = {setting.name: setting for group in GROUPS.values() for setting in group}

# What the engine may choose itself.
_CHOOSABLE = {"mode": MODE_WORDS, "precision": PRECISION_WORDS}


def in_words(spec: TrainingSpec, *, mode: str = "", precision: str = "") -> dict[str, list[tuple[str, str]]]:
    """Every setting of `spec`: `{group: [(label, value in words)]}`.

    `mode` and `precision` are what the engine chose where the spec left it to it.
    """
    chosen = {"mode": mode, "precision": precision}
    values = spec.as_dict() | {name: value for name, value in chosen.items() if value in _CHOOSABLE[name]}
    return {
        group: [(setting.label, setting.in_words(values[setting.name])) for setting in settings]
        for group, settings in GROUPS.items()
    }
