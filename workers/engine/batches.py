"""The order in which examples are learnt, and a batch of them as flat rows."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from webapp.training.spec import TrainingSpec
from workers.engine.examples import Example


@dataclass(frozen=True)
class Batch:
    """Examples below each other, without padding.

    An example's last token predicts nothing, so it is a label and no row.
    """

    tokens: Tensor  # int [rows]
    positions: Tensor  # int [rows], from 0 in every example
    lengths: list[int]  # rows of each example
    label_rows: Tensor  # int [labels], the rows whose next token is a label
    labels: Tensor  # int [labels]

    @classmethod
    def of(cls, examples: Sequence[Example]) -> Batch:
        tokens: list[int] = []
        positions: list[int] = []
        label_rows: list[int] = []
        labels: list[int] = []
        for example in examples:
            rows = len(example.tokens) - 1
            label_rows += range(len(tokens) + example.prompt_length - 1, len(tokens) + rows)
            labels += example.tokens[example.prompt_length :]
            tokens += example.tokens[:-1]
            positions += range(rows)
        lengths = [len(example.tokens) - 1 for example in examples]
        return cls(
            torch.tensor(tokens),
            torch.tensor(positions),
            lengths,
            torch.tensor(label_rows),
            torch.tensor(labels),
        )


def plan(examples: Sequence[Example], spec: TrainingSpec) -> list[list[Example]]:
    """The examples of every optimiser step of a run, shuffled anew each epoch; the same for the same seed."""
    steps: list[list[Example]] = []
    for epoch in range(spec.epochs):
        order = list(examples)
        random.Random(f"{spec.seed}/{epoch}").shuffle(order)  # noqa: S311
        steps += [order[at : at + spec.batch_size] for at in range(0, len(order), spec.batch_size)]
    return steps[: spec.max_steps or None]


def by_length(examples: Sequence[Example], size: int) -> list[list[Example]]:
    """Batches of examples of similar length, for passes in which the order does not matter."""
    order = sorted(examples, key=lambda example: len(example.tokens))
    return [order[at : at + size] for at in range(0, len(order), size)]
