"""What the training loop asks of a base model and of an adapter in training, however they compute.

Two kinds exist: the fast path for Llama-family decoders, written out in this package, and the general one
through transformers and PEFT. The loop, its checkpoints and its export know neither.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from torch import Tensor
from transformers import PreTrainedTokenizerBase

from webapp.training.spec import TrainingSpec
from workers.engine.examples import Example
from workers.engine.sealed import Sealer

Check = Callable[[], None]
Progress = Callable[[int, int], None]  # tokens done, of all


class Base(Protocol):
    """A frozen base model, kept from run to run."""

    @property
    def name(self) -> str: ...
    @property
    def revision(self) -> str:
        """The SHA-256 over its weights; empty for one that was never registered."""

    @property
    def context(self) -> int:
        """The longest text it reads, in tokens."""

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase: ...
    @property
    def stop_tokens(self) -> frozenset[int]: ...
    @property
    def parameters(self) -> int:
        """How many it has, all of them frozen."""

    def is_of(self, folder: Path) -> bool:
        """Whether this is the base that `folder` holds now."""

    def learner(self, spec: TrainingSpec) -> Learner:
        """A fresh adapter, which changes nothing. The same spec gives the same one, bit by bit."""


class Learner(Protocol):
    """An adapter in training."""

    @property
    def mode(self) -> str:
        """Where the frozen weights are: resident, nf4 or streamed."""

    @property
    def precision(self) -> str:
        """What is computed in: fp32, bf16 or fp16."""

    def parameters(self) -> list[Tensor]:
        """Every A and B, as fp32 leaves; always in the same order."""

    def tensors(self) -> dict[str, Tensor]:
        """`{"layers.0.self_attn.q_proj.lora_A": A [rank, in], ...: B [out, rank]}` without gradients."""

    def prepare(
        self, examples: Sequence[Example], folder: Path, sealer: Sealer, report: Progress, check: Check
    ) -> None:
        """Do once what would else be done in every epoch, and keep it, sealed, in `folder`. What is there
        already from an earlier attempt is not done again."""

    def learn(self, examples: Sequence[Example], step: int) -> float:
        """Add to every `.grad` that of the mean loss over all labels of `examples`; returns that loss.

        What is random (dropout) depends on the seed and on `step`, and on nothing that came before.
        """

    def heldout_loss(self, examples: Sequence[Example], check: Check) -> float:
        """The mean negative log likelihood of a label token over all `examples` (natural logarithm)."""

    def answers(self, prompts: Sequence[Sequence[int]], most: int, check: Check) -> list[list[int]]:
        """What it says after each prompt, greedily, at most so many tokens, without the one that ends it.

        Empty where answering would cost more than training does (streamed weights).
        """
