"""The training loop: AdamW on A and B, linear warm-up, then a cosine to zero."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from webapp.training.spec import TrainingSpec
from workers.engine.adapter import Adapter
from workers.engine.base_model import BaseModel
from workers.engine.batches import Batch, plan
from workers.engine.errors import EngineError
from workers.engine.evaluate import heldout_loss
from workers.engine.examples import Dataset, Example
from workers.engine.forward import mean_loss

MAX_GRADIENT_NORM = 1.0


@dataclass(frozen=True)
class Started:
    steps: int
    trainable_parameters: int
    frozen_parameters: int
    train_examples: int
    heldout_examples: int
    train_tokens: int  # of one epoch
    truncated_examples: int


@dataclass(frozen=True)
class HeldOut:
    step: int
    loss: float


@dataclass(frozen=True)
class Step:
    step: int
    steps: int
    loss: float
    learning_rate: float
    tokens_per_s: float  # over the run so far
    seconds_left: float


Report = Callable[[Started | HeldOut | Step], None]


def train(
    base: BaseModel, dataset: Dataset, spec: TrainingSpec, report: Report, check: Callable[[], None]
) -> Adapter:
    """Train an adapter on `dataset.train` and say at each step how it goes.

    `check` is called at least once per optimiser step and may raise to end the run. The same base, dataset
    and spec give the same adapter, bit by bit, on the same machine. Raises EngineError when the numbers run
    away.
    """
    batches = plan(dataset.train, spec)
    steps = len(batches)
    adapter = Adapter(base, spec)
    parameters = adapter.parameters()
    report(
        Started(
            steps=steps,
            trainable_parameters=sum(parameter.numel() for parameter in parameters),
            frozen_parameters=base.parameters,
            train_examples=len(dataset.train),
            heldout_examples=len(dataset.heldout),
            train_tokens=_tokens(dataset.train),
            truncated_examples=dataset.truncated,
        )
    )

    start = time.monotonic()
    _report_heldout(adapter, dataset, 0, report, check)
    evaluation_seconds = time.monotonic() - start

    optimiser = torch.optim.AdamW(parameters, lr=spec.learning_rate, weight_decay=0.0)
    tokens_left, tokens_done = sum(map(_tokens, batches)), 0
    start = time.monotonic()
    for step, examples in enumerate(batches, 1):
        check()
        rate = learning_rate(step, steps, spec)
        for group in optimiser.param_groups:
            group["lr"] = rate

        adapter.merge()
        loss = mean_loss(adapter, Batch.of(examples))
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(parameters, MAX_GRADIENT_NORM)
        if not (loss.isfinite() and norm.isfinite()):
            raise EngineError(
                f"Training ran away at step {step}: choose a lower learning rate, then start again."
            )
        optimiser.step()
        optimiser.zero_grad()

        tokens_done += _tokens(examples)
        tokens_left -= _tokens(examples)
        tokens_per_s = tokens_done / (time.monotonic() - start)
        seconds_left = tokens_left / tokens_per_s + evaluation_seconds
        report(Step(step, steps, loss.item(), rate, tokens_per_s, seconds_left))

    _report_heldout(adapter, dataset, steps, report, check)
    return adapter


def learning_rate(step: int, steps: int, spec: TrainingSpec) -> float:
    """The rate of `step` (from 1): up to the peak in the warm-up's share of the steps, then down to zero."""
    warmup = round(spec.warmup_share * steps)
    if step <= warmup:
        return spec.learning_rate * step / warmup
    past = (step - 1 - warmup) / (steps - warmup)
    return spec.learning_rate * (1 + math.cos(math.pi * past)) / 2


def _report_heldout(
    adapter: Adapter, dataset: Dataset, step: int, report: Report, check: Callable[[], None]
) -> None:
    if dataset.heldout:
        report(HeldOut(step, heldout_loss(adapter, dataset.heldout, adapter.spec.batch_size, check)))


def _tokens(examples: Sequence[Example]) -> int:
    return sum(len(example.tokens) for example in examples)
