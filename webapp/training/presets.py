"""Presets: what a lawyer chooses instead of a learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from webapp.training.spec import TrainingSpec

GIB = 2**30
# Tokens of an example where a dataset was frozen before its tokens were counted.
TOKENS_AN_EXAMPLE = 250

# An epoch has at least so many steps where the batch can be small enough: a style is learned in steps.
STEPS_AN_EPOCH = 32
SMALLEST_BATCH = 4
LARGEST_BATCH = {"cpu": 8, "cuda": 32}

# What Quick reads at most. Two CPU cores train the top third of a 135 M base at nearly 600 tokens a second:
# six minutes. A GPU takes about as long on one of some billions.
QUICK_TOKENS = {"cpu": 200_000, "cuda": 4_000_000}
QUICK_STEPS = {"cpu": (24, 150), "cuda": (24, 400)}  # the fewest that teach, the most that are quick
QUICK_EPOCHS = 4

# The rate that won in runs of some dozen steps; long ones end lower with a smaller one.
RATES = ((150, 1e-3), (600, 5e-4), (math.inf, 2e-4))


@dataclass(frozen=True, kw_only=True)
class Given:
    """What a preset chooses by: the dataset's size, the base's depth, the device that will train.

    `example_tokens` is the mean of the training examples, prompt and all; None where it was not counted.
    `layers` is 0 while there is no base. `device` is “cpu” or “cuda”, a CPU before any worker has reported.
    """

    examples: int
    example_tokens: float | None = None
    layers: int = 0
    device: str = "cpu"
    device_bytes: int = 0

    @property
    def on_gpu(self) -> bool:
        return self.device == "cuda"

    @property
    def batch_size(self) -> int:
        """A power of two: as large as the device is faster with, and still enough steps an epoch."""
        largest = LARGEST_BATCH["cuda" if self.on_gpu else "cpu"]
        wanted = max(1, self.examples // STEPS_AN_EPOCH)
        return int(min(largest, max(SMALLEST_BATCH, 2 ** (wanted.bit_length() - 1))))

    @property
    def batch_tokens(self) -> int:
        """Tokens computed at once: what fills the device, and leaves room for the base."""
        if not self.on_gpu:
            return 2048
        return next(tokens for least, tokens in _GPU_TOKENS if self.device_bytes >= least)


_GPU_TOKENS = ((60 * GIB, 16_384), (30 * GIB, 8192), (0, 4096))


@dataclass(frozen=True)
class Preset:
    name: str
    label: str
    says: str
    spec: Callable[[Given], TrainingSpec]


def steps(spec: TrainingSpec, examples: int) -> int:
    """How many optimiser steps `spec` takes over so many training examples, if it does not end early."""
    whole = -(-examples // spec.batch_size) * spec.epochs
    return min(whole, spec.max_steps) if spec.max_steps else whole


def _quick(given: Given) -> TrainingSpec:
    """The top third only: what lies below is computed once, so every epoch after that costs half."""
    device = "cuda" if given.on_gpu else "cpu"
    batch = given.batch_size
    fewest, most = QUICK_STEPS[device]
    step_tokens = batch * (given.example_tokens or TOKENS_AN_EXAMPLE)
    limit = max(fewest, min(most, int(QUICK_TOKENS[device] / step_tokens)))
    an_epoch = max(1, -(-given.examples // batch))
    epochs = max(1, min(QUICK_EPOCHS, -(-limit // an_epoch)))
    return _spec(
        given,
        layers=max(1, round(given.layers / 3)) if given.layers else 0,
        epochs=epochs,
        max_steps=limit if an_epoch * epochs > limit else 0,
        evaluations=5,
        patience=0,
    )


def _balanced(given: Given) -> TrainingSpec:
    return _spec(given, epochs=2, evaluations=6, patience=0)


def _thorough(given: Given) -> TrainingSpec:
    return _spec(given, rank=32, alpha=64.0, epochs=3, evaluations=12, patience=4)


def _spec(
    given: Given,
    *,
    epochs: int,
    evaluations: int,
    patience: int,
    rank: int = 16,
    alpha: float = 32.0,
    layers: int = 0,
    max_steps: int = 0,
) -> TrainingSpec:
    planned = TrainingSpec(
        rank=rank,
        alpha=alpha,
        layers=layers,
        epochs=epochs,
        batch_size=given.batch_size,
        batch_tokens=given.batch_tokens,
        max_steps=max_steps,
        evaluations=evaluations,
        patience=patience,
    )
    return replace(planned, learning_rate=_rate(steps(planned, given.examples)))


def _rate(planned_steps: int) -> float:
    return next(rate for most, rate in RATES if planned_steps <= most)


PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            "quick",
            "Quick",
            "A first look in minutes: only the upper third of the model learns, which is cheap to repeat.",
            _quick,
        ),
        Preset(
            "balanced", "Balanced", "All of the model learns, in two passes over your examples.", _balanced
        ),
        Preset(
            "thorough",
            "Thorough",
            "Three passes with twice the room to learn, for an adapter that goes live. It ends by itself "
            "when nothing gets better.",
            _thorough,
        ),
    )
}
