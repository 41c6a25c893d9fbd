"""The order in which examples are learnt, and those computed at once as flat rows."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from webapp.training.spec import TrainingSpec
from workers.engine.examples import Example

# A shorter beginning in common is not worth its mask.
SHARED_TOKENS = 8


@dataclass(frozen=True)
class Batch:
    """Examples below each other, without padding; what all of them begin with stands there once.

    Rows are the `shared` ones, then each example's own. An example's last token predicts nothing, so it is a
    label and no row.
    """

    tokens: Tensor  # int [rows]
    positions: Tensor  # int [rows], from 0 in every example
    shared: int
    lengths: list[int]  # own rows of each example
    label_rows: Tensor  # int [labels], the rows whose next token is a label
    labels: Tensor  # int [labels]

    @classmethod
    def of(cls, examples: Sequence[Example], device: torch.device | None = None) -> Batch:
        shared = _shared(examples)
        tokens = list(examples[0].tokens[:shared])
        positions = list(range(shared))
        label_rows: list[int] = []
        labels: list[int] = []
        for example in examples:
            rows = len(example.tokens) - 1
            first = len(tokens) - shared  # where the example's row 0 would be
            label_rows += range(first + example.prompt_length - 1, first + rows)
            labels += example.tokens[example.prompt_length :]
            tokens += example.tokens[shared:-1]
            positions += range(shared, rows)
        return cls(
            torch.tensor(tokens, device=device),
            torch.tensor(positions, device=device),
            shared,
            [len(example.tokens) - 1 - shared for example in examples],
            torch.tensor(label_rows, device=device),
            torch.tensor(labels, device=device),
        )


def _shared(examples: Sequence[Example]) -> int:
    """How many tokens all examples begin with, such that each keeps the row that its first label needs."""
    if len(examples) == 1:
        return 0
    most = min(example.prompt_length for example in examples) - 1
    first, last = min(example.tokens for example in examples), max(example.tokens for example in examples)
    same = next((at for at in range(most) if first[at] != last[at]), most)
    return same if same >= SHARED_TOKENS else 0


def plan(examples: Sequence[Example], spec: TrainingSpec) -> list[list[Example]]:
    """The examples of every optimiser step of a run, shuffled anew each epoch; the same for the same seed."""
    steps: list[list[Example]] = []
    for epoch in range(spec.epochs):
        order = list(examples)
        random.Random(f"{spec.seed}/{epoch}").shuffle(order)  # noqa: S311
        steps += [order[at : at + spec.batch_size] for at in range(0, len(order), spec.batch_size)]
    return steps[: spec.max_steps or None]


def parts(examples: Sequence[Example], most_tokens: int) -> list[list[Example]]:
    """The examples of a step in as few parts of at most `most_tokens` tokens (or one example) as may be,
    about equally large, neighbours in which begin alike."""
    total = sum(len(example.tokens) for example in examples)
    enough = total / max(1, math.ceil(total / most_tokens))
    made: list[list[Example]] = []
    size = 0
    for example in sorted(examples, key=lambda example: example.tokens):
        if not made or size >= enough or size + len(example.tokens) > most_tokens:
            made.append([])
            size = 0
        made[-1].append(example)
        size += len(example.tokens)
    return made
