"""What there is to learn from, and what there is to compute with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from webapp.training.spec import TrainingSpec

Kind = Literal["cpu", "cuda"]
# Of the rate in bf16, on the cards of data centres; others are slower in bf16, not faster in fp32.
FP32_SHARE = {"cpu": 1.0, "cuda": 0.07}


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A dataset in figures; lengths are tokens of an example, prompt and completion, cut at the maximum."""

    examples: int
    tokens: int  # of one epoch
    label_tokens: int  # those of completions, which count in the loss
    longest: int
    spread: float = 0.0  # standard deviation of an example's length
    shared: int = 0  # tokens that all examples begin with: a batch computes them once
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
        steps = self._planned(spec)
        return min(steps, spec.max_steps) if spec.max_steps else steps

    def passes(self, spec: TrainingSpec) -> float:
        """How often a training example is learned from: the epochs, less what `max_steps` leaves out."""
        return spec.epochs * self.steps(spec) / self._planned(spec)

    def parts(self, spec: TrainingSpec) -> float:
        """In how many parts a step is computed, on average."""
        return max(1.0, self.mean * min(spec.batch_size, self.examples) / spec.batch_tokens)

    def rows(self, spec: TrainingSpec) -> float:
        """Tokens computed at once at the fullest moment: a step's, in parts of `batch_tokens`; an example is
        never cut in two.

        The sum of a step's lengths is about normal; the largest of n such sums lies √(2 ln n) standard
        deviations above the mean.
        """
        size = min(spec.batch_size, self.examples)
        above = math.sqrt(2 * math.log(max(2, self.steps(spec))) * size) * self.spread
        step = max(self.longest, min(self.mean * size + above, self.longest * size))
        part = max(self.longest, min(step, spec.batch_tokens))
        return part - self.shared * (max(1.0, part / self.mean) - 1)

    def computed(self, spec: TrainingSpec) -> float:
        """Tokens that one epoch computes: what a part's examples begin with is there once."""
        together = min(spec.batch_size, self.examples) / self.parts(spec)
        return self.tokens - self.shared * self.examples * (1 - 1 / max(1.0, together))

    def heldout_computed(self, spec: TrainingSpec) -> float:
        """The same of one pass over the held-out examples."""
        return self._forward_computed(spec, self.heldout_examples, self.heldout_tokens)

    def all_computed(self, spec: TrainingSpec) -> float:
        """The same of one forward pass over all examples, in parts that no step divides."""
        examples = self.examples + self.heldout_examples
        return self._forward_computed(spec, examples, self.tokens + self.heldout_tokens)

    def _forward_computed(self, spec: TrainingSpec, examples: int, tokens: int) -> float:
        together = max(1.0, min(spec.batch_tokens / self.mean, examples))
        return tokens - self.shared * examples * (1 - 1 / together)

    def _planned(self, spec: TrainingSpec) -> int:
        return math.ceil(self.examples / spec.batch_size) * spec.epochs


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where it would run. On a CPU, `memory_bytes` and `host_memory_bytes` are the same memory.

    `matrix_flops` are operations a second in a large matrix product of the precision that is fastest to train
    in: fp32 on a CPU, bf16 on a GPU, where `fp32_flops` may be given too.
    """

    name: str
    kind: Kind
    memory_bytes: int
    host_memory_bytes: int
    matrix_flops: float
    read_bytes_per_s: float  # of the disk that holds the base
    free_disk_bytes: int
    given_fp32_flops: float | None = None

    @property
    def fp32_flops(self) -> float:
        if self.given_fp32_flops is not None:
            return self.given_fp32_flops
        return self.matrix_flops * FP32_SHARE[self.kind]
