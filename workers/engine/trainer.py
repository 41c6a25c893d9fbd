"""The training loop: AdamW on A and B, measured on the way, saved on the way, the best kept."""

from __future__ import annotations

import hashlib
import json
import math
import time
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from webapp.training.spec import TrainingSpec
from workers.engine.batches import plan
from workers.engine.checkpoint import Checkpoints, Journal
from workers.engine.errors import FULL, EngineError
from workers.engine.events import (
    Answer,
    Answers,
    Checkpoint,
    HeldOut,
    Notice,
    Preparing,
    Report,
    Started,
    Step,
)
from workers.engine.examples import Dataset, Example
from workers.engine.learner import Base, Check, Learner
from workers.engine.memory import used_bytes
from workers.engine.schedule import evaluation_steps, learning_rate
from workers.engine.sealed import Sealer

MAX_GRADIENT_NORM = 1.0
ANSWER_TOKENS = 48
# A smoothed loss this far above its lowest value does not come back.
SMOOTHING, TIMES_LOWEST, NATS_MORE = 0.8, 2.0, 1.0
ADVICE = "choose a lower learning rate, then start again."

NOT_SAVED = "The disk is full: training goes on, but what it learns now can't be saved until there is room."


@dataclass(frozen=True)
class Work:
    """Where a run keeps what outlives its process."""

    folder: Path
    sealer: Sealer
    checkpoint_seconds: float = 30.0
    writes: bool = True  # of several processes of one run only the first


class Trainer:
    """One run. The same base, dataset and spec give the same adapter, bit by bit, on the same machine with
    the same number of threads, however often the run is interrupted and taken up again."""

    def __init__(
        self,
        base: Base,
        dataset: Dataset,
        spec: TrainingSpec,
        *,
        work: Work,
        report: Report,
        check: Check,
        prompts: Sequence[Sequence[int]] = (),
    ) -> None:
        """`check` is called at least once per optimiser step and may raise to end the run; `prompts` are
        tokens, answered at every measurement."""
        self._base, self._dataset, self._spec, self._work = base, dataset, spec, work
        self._report, self._check, self._prompts = report, check, prompts
        self._batches = plan(dataset.train, spec)
        self.learner = base.learner(spec)
        self._learnt = self.learner.parameters()
        self._optimiser = torch.optim.AdamW(self._learnt, lr=spec.learning_rate, weight_decay=0.0)
        self._evaluations = evaluation_steps(
            spec,
            steps=len(self._batches),
            train_tokens=sum(map(_tokens, self._batches)),
            heldout_tokens=_tokens(dataset.heldout),
        )
        mark = _mark(base, dataset, spec, self.learner)
        self._checkpoints = Checkpoints(work.folder / "checkpoints", work.sealer, mark)
        self._journal, self._best = Journal(), list[Tensor]()
        self._watch = Watch([])
        self._saved_at, self._unsaved = time.monotonic(), False
        self._pace = Pace(tokens_left=sum(map(_tokens, self._batches)), measurements=len(self._evaluations))
        self.stopped_early = False

    @property
    def best_step(self) -> int | None:
        """The step with the lowest held-out loss; None while none was measured."""
        return self._journal.best_step

    def run(self) -> None:
        """Train to the end, and leave the best adapter in `learner`.

        Raises EngineError when the numbers run away, OSError when the disk is full before the first step.
        """
        self._prepare()
        self._take_up()
        if self._journal.step == 0:
            self._measure()
        for examples in self._batches[self._journal.step :]:
            if self.stopped_early:
                break
            self._check()
            self._learn(examples)
            if self._journal.step in self._evaluations:
                self._measure()
                self._stop_early()
            self._save_when_due()
        self.restore_best()

    @torch.no_grad()
    def restore_best(self) -> None:
        """Let `learner` be what it was at `best_step`."""
        for parameter, best in zip(self._learnt, self._best, strict=False):
            parameter.copy_(best)

    def _prepare(self) -> None:
        needed = {example for examples in self._batches for example in examples} | {*self._dataset.heldout}

        def report(done: int, total: int) -> None:
            self._report(Preparing(done, total))

        folder = self._work.folder / "prefix"
        self.learner.prepare(list(needed), folder, self._work.sealer, report, self._check)

    def _take_up(self) -> None:
        """Go on from where an earlier attempt was saved, if there was one."""
        saved = self._checkpoints.load(self._learnt, self._optimiser)
        if saved is not None:
            self._journal, self._best = saved
        done = self._batches[: self._journal.step]
        self._pace.skip(sum(map(_tokens, done)), sum(step <= len(done) for step in self._evaluations))
        self._watch = Watch(loss for split, _, loss in self._journal.points if split == "train")
        self._stop_early()
        self._report(
            Started(
                step=self._journal.step,
                steps=len(self._batches),
                mode=self.learner.mode,
                precision=self.learner.precision,
                trainable_parameters=sum(parameter.numel() for parameter in self._learnt),
                frozen_parameters=self._base.parameters,
                train_examples=len(self._dataset.train),
                heldout_examples=len(self._dataset.heldout),
                train_tokens=_tokens(self._dataset.train),
                truncated_examples=self._dataset.truncated,
                points=list(self._journal.points),
                answers=list(self._journal.answers),
                best_step=self._journal.best_step,
            )
        )

    def _learn(self, examples: Sequence[Example]) -> None:
        """One optimiser step."""
        began = time.monotonic()
        journal, step = self._journal, self._journal.step + 1
        rate = learning_rate(step, len(self._batches), self._spec)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        loss = self.learner.learn(examples, step)
        norm = torch.nn.utils.clip_grad_norm_(self._learnt, MAX_GRADIENT_NORM)
        self._watch.check(step, loss, norm)
        self._optimiser.step()
        self._optimiser.zero_grad()
        journal.step = step
        journal.points.append(("train", step, loss))
        self._pace.learnt(_tokens(examples), time.monotonic() - began)
        self._report(
            Step(
                step=step,
                steps=len(self._batches),
                loss=loss,
                learning_rate=rate,
                tokens_per_s=self._pace.tokens_per_s,
                seconds_left=self._pace.seconds_left,
                memory_bytes=used_bytes(),
            )
        )

    def _measure(self) -> None:
        """The held-out loss, and the answers to the fixed prompts; the best adapter so far is kept."""
        began = time.monotonic()
        journal = self._journal
        if self._dataset.heldout:
            loss = self.learner.heldout_loss(self._dataset.heldout, self._check)
            journal.points.append(("heldout", journal.step, loss))
            best = journal.step > 0 and (journal.best_loss is None or loss < journal.best_loss)
            if best:
                journal.best_step, journal.best_loss, journal.worse = journal.step, loss, 0
                self._best = [parameter.detach().clone() for parameter in self._learnt]
            elif journal.step > 0:
                journal.worse += 1
            self._report(HeldOut(journal.step, loss, best))
        if self._prompts:
            self._answer()
        self._pace.measured(time.monotonic() - began, counts=journal.step > 0)

    def _answer(self) -> None:
        answers = self.learner.answers(self._prompts, ANSWER_TOKENS, self._check)
        if not answers:
            return
        texts = [str(self._base.tokenizer.decode(tokens, skip_special_tokens=True)) for tokens in answers]
        step = self._journal.step
        self._journal.answers += [Answer(step, place, text) for place, text in enumerate(texts)]
        self._report(Answers(step, texts))

    def _stop_early(self) -> None:
        patience = self._spec.patience
        self.stopped_early = bool(patience) and self._journal.worse >= patience

    def _save_when_due(self) -> None:
        if not self._work.writes:
            return
        due = time.monotonic() - self._saved_at >= self._work.checkpoint_seconds
        if not due and self._journal.step not in self._evaluations:
            return
        self._check()  # a worker that has lost its lease saves nothing
        try:
            self._checkpoints.save(self._journal, self._learnt, self._optimiser, self._best)
        except OSError as error:
            if error.errno not in FULL:
                raise
            self._unsaved = True
            self._report(Notice(NOT_SAVED))
        else:
            self._report(Checkpoint(self._journal.step))
            if self._unsaved:
                self._unsaved = False
                self._report(Notice(""))
        self._saved_at = time.monotonic()


@dataclass
class Pace:
    """How fast a run goes, and how long it will take."""

    tokens_left: int
    measurements: int  # that are left
    _tokens: int = 0
    _seconds: float = 0.0
    _measurement_seconds: float = 0.0

    def skip(self, tokens: int, measurements: int) -> None:
        """What an earlier attempt has done."""
        self.tokens_left -= tokens
        self.measurements -= measurements

    def learnt(self, tokens: int, seconds: float) -> None:
        self.tokens_left -= tokens
        self._tokens += tokens
        self._seconds += seconds

    def measured(self, seconds: float, *, counts: bool) -> None:
        self._measurement_seconds = seconds
        self.measurements -= counts

    @property
    def tokens_per_s(self) -> float:
        """Of learning, since this attempt began."""
        return self._tokens / self._seconds

    @property
    def seconds_left(self) -> float:
        return self.tokens_left / self.tokens_per_s + self.measurements * self._measurement_seconds


class Watch:
    """Notices when a run can't come to anything any more."""

    def __init__(self, losses: Iterable[float]) -> None:
        self._smooth: float | None = None
        self._lowest = math.inf
        for loss in losses:
            self._take(loss)

    def check(self, step: int, loss: float, norm: Tensor) -> None:
        """Raises EngineError that says what to change."""
        if not (math.isfinite(loss) and norm.isfinite()):
            raise EngineError(f"Training ran away at step {step}: {ADVICE}")
        self._take(loss)
        if self._smooth is not None and self._smooth > TIMES_LOWEST * self._lowest + NATS_MORE:
            raise EngineError(f"The loss rose far above where it had been by step {step}: {ADVICE}")

    def _take(self, loss: float) -> None:
        before = loss if self._smooth is None else self._smooth
        self._smooth = SMOOTHING * before + (1 - SMOOTHING) * loss
        self._lowest = min(self._lowest, self._smooth)


def _mark(base: Base, dataset: Dataset, spec: TrainingSpec, learner: Learner) -> str:
    """What is trained on what, how: short, and different for everything that differs."""
    # As it is done, not as it was asked for: a worker may ask for “auto” or name what that came to before.
    how = spec.as_dict() | {"mode": learner.mode, "precision": learner.precision}
    what = hashlib.sha256(json.dumps([base.name, base.parameters, how]).encode())
    for examples in (dataset.train, dataset.heldout):
        for example in examples:
            what.update(array("q", (len(example.tokens), example.prompt_length, *example.tokens)))
        what.update(b"|")
    return what.hexdigest()[:16]


def _tokens(examples: Sequence[Example]) -> int:
    return sum(len(example.tokens) for example in examples)
