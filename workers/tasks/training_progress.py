"""What a run's trainer says of itself, kept for the page."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

from django.db import connection
from django.utils import timezone

from webapp.core.jobs import services as jobs
from webapp.core.tenancy import firm_scope
from webapp.training import services
from webapp.training.models import Phase, TrainingRun
from webapp.training.services import FixedPrompt
from workers.tasks.run_job import AWAY, Held
from workers.trainer_process import Event

log = logging.getLogger(__name__)

# What the page shows is refreshed this often, however quick the steps are.
REPORT_SECONDS = 0.5
# How long a database that was away is left alone. Training goes on meanwhile, and nothing is lost.
AWAY_SECONDS = 2.0
OFTEN = ("step", "preparing")


class Progress:
    """Gathers events and writes them in small transactions, only while the worker holds the run."""

    def __init__(self, run: TrainingRun, held: Held, prompts: Sequence[FixedPrompt]) -> None:
        self.run, self._held, self._prompts = run, held, prompts
        self._seconds_before, self._began = run.seconds or 0.0, time.monotonic()
        self._peak_before = run.peak_bytes or 0
        # A run that is taken up again shows the curve it had until its trainer says where it goes on.
        self._fields: dict[str, Any] = {"phase": "", "seconds_left": None, "notice": ""}
        self._anew = False  # the curve starts anew before the points and answers that follow
        self._points: list[tuple[str, int, float]] = []
        self._answers: list[tuple[int, int, str]] = []
        self._got_on = False
        self._next_write = 0.0

    def take(self, event: Event) -> None:
        """Keep an event and write what is due. Raises LeaseLost."""
        getattr(self, f"_take_{event['event']}")(event)
        self.write_if_due(at_once=event["event"] not in OFTEN)

    def take_end(self, event: Event) -> None:
        """The numbers of a run that ended with an adapter; `write` puts them down."""
        if (peak := event.get("peak_bytes")) is not None:
            self._fields["peak_bytes"] = max(peak, self._peak_before)
        self._fields.update(
            seconds_left=0,
            notice="",
            best_step=event["best_step"],
            stopped_early=event.get("stopped_early", False),
        )

    def write_if_due(self, *, at_once: bool = False) -> None:
        """Write what has gathered; while the database is away it goes on gathering. Raises LeaseLost."""
        now = time.monotonic()
        waiting = self._fields or self._points or self._answers or self._anew
        if not waiting or now < self._next_write - (REPORT_SECONDS if at_once else 0):
            return
        try:
            with firm_scope(self.run.tenant_id):
                jobs.fence(self._held.claim)
                self.write()
                if self._got_on:
                    jobs.progressed(self._held.claim)
        except AWAY as error:
            log.warning("The progress of run %s waits: %s.", self.run.id, type(error).__name__)
            connection.close()
            self._next_write = time.monotonic() + AWAY_SECONDS + REPORT_SECONDS
            return
        self._fields, self._points, self._answers = {}, [], []
        self._anew = self._got_on = False
        self._next_write = time.monotonic() + REPORT_SECONDS

    def write(self) -> None:
        """Write what has gathered, in the caller's transaction; the same again if that fails."""
        if self._anew:
            services.forget_curve(self.run)
        if self._points:
            services.record_losses(self.run, self._points)
        if self._answers:
            services.record_answers(self.run, self._prompts, self._answers)
        seconds = self._seconds_before + time.monotonic() - self._began
        services.record_progress(self.run, seconds=seconds, **self._fields)

    def _take_loading(self, event: Event) -> None:
        self._fields["phase"] = Phase.LOADING

    def _take_preparing(self, event: Event) -> None:
        share = event["done"] / event["total"] if event["total"] else 1.0
        self._fields.update(phase=Phase.PREPARING, prepared_share=share)

    def _take_started(self, event: Event) -> None:
        self._anew = True
        self._points = [(split, step, loss) for split, step, loss in event["points"]]
        self._answers = [(answer["step"], answer["place"], answer["text"]) for answer in event["answers"]]
        heldout = {step: loss for split, step, loss in self._points if split == "heldout"}
        self._fields.update(
            {name: event[name] for name in STARTED_FIELDS},
            phase=Phase.TRAINING if 0 in heldout else Phase.BEFORE,
            heldout_before=heldout.get(0),
            heldout_after=heldout.get(event["best_step"]),
        )

    def _take_heldout(self, event: Event) -> None:
        step, loss = event["step"], event["loss"]
        self._points.append(("heldout", step, loss))
        if step == 0:
            self._fields.update(heldout_before=loss, phase=Phase.TRAINING)
        if event["best"]:
            self._fields.update(heldout_after=loss, best_step=step)

    def _take_step(self, event: Event) -> None:
        self._fields.update(
            {name: event[name] for name in STEP_FIELDS},
            phase=Phase.TRAINING if event["step"] < event["steps"] else Phase.SAVING,
        )
        self._points.append(("train", event["step"], event["loss"]))

    def _take_answers(self, event: Event) -> None:
        self._answers += [(event["step"], place, text) for place, text in enumerate(event["answers"])]

    def _take_checkpoint(self, event: Event) -> None:
        self._fields.update(checkpoint_step=event["step"], checkpoint_at=timezone.now())
        self._got_on = True
        self._held.attempts = 0

    def _take_notice(self, event: Event) -> None:
        self._fields["notice"] = event["message"]


# Fields of TrainingRun by the same name in the trainer's events.
STARTED_FIELDS = (
    *("step", "steps", "mode", "precision", "best_step"),
    *("trainable_parameters", "frozen_parameters", "train_tokens", "truncated_examples"),
)
STEP_FIELDS = ("step", "steps", "learning_rate", "tokens_per_s", "seconds_left", "memory_bytes")
