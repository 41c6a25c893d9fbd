"""What a run says of itself on its way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

# A point of the loss curve: (split, step, loss), the loss in nats per label token.
Point = tuple[str, int, float]


@dataclass(frozen=True)
class Preparing:
    """Examples are read through the layers that stay frozen."""

    done: int  # tokens
    total: int


@dataclass(frozen=True)
class Answer:
    step: int
    place: int  # of its prompt among the run's
    text: str


@dataclass(frozen=True)
class Started:
    """Ready to learn, from the first step or from where an earlier attempt was saved."""

    step: int  # the last one that is done
    steps: int
    mode: str
    precision: str
    trainable_parameters: int
    frozen_parameters: int
    train_examples: int
    heldout_examples: int
    train_tokens: int  # of one epoch
    truncated_examples: int
    points: list[Point]  # the curve up to here
    answers: list[Answer]
    best_step: int | None


@dataclass(frozen=True)
class HeldOut:
    step: int
    loss: float
    best: bool


@dataclass(frozen=True)
class Answers:
    step: int
    answers: list[str]


@dataclass(frozen=True)
class Step:
    step: int
    steps: int
    loss: float
    learning_rate: float
    tokens_per_s: float  # since this attempt began
    seconds_left: float
    memory_bytes: int


@dataclass(frozen=True)
class Checkpoint:
    """What was learnt up to `step` is safe on disk."""

    step: int


@dataclass(frozen=True)
class Notice:
    """Something a person should know while it lasts; empty when it is over."""

    message: str


Event = Preparing | Started | HeldOut | Answers | Step | Checkpoint | Notice
Report = Callable[[Event], None]
EVENT_NAMES: dict[type[Event], str] = {
    Preparing: "preparing",
    Started: "started",
    HeldOut: "heldout",
    Answers: "answers",
    Step: "step",
    Checkpoint: "checkpoint",
    Notice: "notice",
}
