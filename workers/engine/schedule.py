"""When a run does what: the learning rate of each step, and the steps at which it is measured."""

from __future__ import annotations

import math

from webapp.training.spec import TrainingSpec

# Measuring costs a forward pass, a third of learning; altogether it may cost this share of the learning.
EVALUATION_SHARE = 0.25


def learning_rate(step: int, steps: int, spec: TrainingSpec) -> float:
    """The rate of `step` (from 1): up to its peak in the warm-up's share of the steps, then as scheduled."""
    warmup = round(spec.warmup_share * steps)
    if step <= warmup:
        return spec.learning_rate * step / warmup
    past = (step - 1 - warmup) / (steps - warmup)
    match spec.schedule:
        case "constant":
            return spec.learning_rate
        case "linear":
            return spec.learning_rate * (1 - past)
        case _:
            return spec.learning_rate * (1 + math.cos(math.pi * past)) / 2


def evaluation_steps(spec: TrainingSpec, *, steps: int, train_tokens: int, heldout_tokens: int) -> list[int]:
    """The steps after which the held-out loss is measured, the last one always among them.

    `train_tokens` counts those of all steps, `heldout_tokens` those of one measurement.
    """
    affordable = EVALUATION_SHARE * 3 * train_tokens / max(heldout_tokens, 1)
    count = max(1, min(spec.evaluations, steps, int(affordable)))
    return sorted({round(steps * (place + 1) / count) for place in range(count)})
