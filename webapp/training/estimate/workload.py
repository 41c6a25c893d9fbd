"""What there is to learn from, and what there is to compute with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from webapp.training.spec import TrainingSpec

Kind = Literal["cpu", "cuda"]


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A dataset in figures; lengths are tokens of an example, prompt and completion, cut at the maximum."""

    examples: int
    tokens: int  # of one epoch
    label_tokens: int  # those of completions, which count in the loss
    longest: int
    spread: float = 0.0  # standard deviation of an example's length
    heldout_examples: int = 0
    heldout_tokens: int = 0
    heldout_label_tokens: int = 0

    @classmethod
    def of_length(cls, examples: int, tokens: int, label_share: float = 0.5) -> Workload:
        """Examples of one length, a tenth as many held out: where no dataset is chosen yet."""
        heldout = max(1, examples // 10)
        return cls(
            examples=examples,
            tokens=examples * tokens,
            label_tokens=round(examples * tokens * label_share),
            longest=tokens,
            heldout_examples=heldout,
            heldout_tokens=heldout * tokens,
            heldout_label_tokens=round(heldout * tokens * label_share),
        )

    @property
    def mean(self) -> float:
        """Tokens of an example."""
        return self.tokens / self.examples

    def steps(self, spec: TrainingSpec) -> int:
        """Optimiser steps of a whole run."""
        steps = math.ceil(self.examples / spec.batch_size) * spec.epochs
        return min(steps, spec.max_steps) if spec.max_steps else steps

    def trained_tokens(self, spec: TrainingSpec) -> float:
        """Tokens that go through forward and backward, over all epochs."""
        all_steps = math.ceil(self.examples / spec.batch_size) * spec.epochs
        return self.tokens * spec.epochs * self.steps(spec) / all_steps

    def step_tokens(self, spec: TrainingSpec) -> float:
        """Tokens of the fullest step to expect.

        The sum of a step's lengths is about normal; the largest of n such sums lies √(2 ln n) standard
        deviations above the mean.
        """
        size = min(spec.batch_size, self.examples)
        steps = max(2, self.steps(spec))
        above = math.sqrt(2 * math.log(steps)) * self.spread * math.sqrt(size)
        return max(self.longest, min(self.mean * size + above, self.longest * size))

    def rows(self, spec: TrainingSpec) -> float:
        """Tokens computed at once: a step's, in parts of `batch_tokens`; an example is never cut in two."""
        return max(self.longest, min(self.step_tokens(spec), spec.batch_tokens))


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where it would run. On a CPU, `memory_bytes` and `host_memory_bytes` are the same memory."""

    name: str
    kind: Kind
    memory_bytes: int
    host_memory_bytes: int
    matrix_flops: float  # a second, in a large matrix product of the precision it trains in
    read_bytes_per_s: float  # of the disk that holds the base
    free_disk_bytes: int

    @property
    def element_bytes(self) -> int:
        """Of a number in a forward pass: fp32 on a CPU, bf16 or fp16 on a GPU."""
        return 4 if self.kind == "cpu" else 2
