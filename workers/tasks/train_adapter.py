from __future__ import annotations

import base64
import dataclasses
import logging
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from celery import shared_task
from celery.signals import worker_ready
from django.conf import settings
from django.db import connection, transaction

from webapp.adapters import services as adapters
from webapp.core import storage
from webapp.core.errors import Unavailable
from webapp.core.jobs.models import JobKind
from webapp.core.jobs.services import Claim
from webapp.core.tenancy import firm_scope
from webapp.datasets import selectors as datasets
from webapp.datasets.services import as_line
from webapp.training import costs, selectors, services
from webapp.training.models import TrainingRun
from workers.engine.errors import DISK_FULL, DISK_FULL_SECONDS, FULL
from workers.tasks import measure_device
from workers.tasks.run_job import (
    AWAY,
    CancelledWith,
    Held,
    JobCancelled,
    JobErrored,
    JobFailed,
    JobPostponed,
    Record,
    run_job,
    stopping,
)
from workers.tasks.training_folder import RunFolder, sweep, sweep_one
from workers.tasks.training_progress import Progress
from workers.trainer_process import ChildDied, Event, TrainerProcess

log = logging.getLogger(__name__)

DIED = (
    "Training stopped because its process died, most likely for want of memory. "
    "Choose a shorter maximum length or a smaller batch, then start it again."
)
# A child that hears of no renewed lease for so long ends itself (`workers.engine.child`): it did not fail.
SILENCE_SECONDS = 20.0

# One child per worker, kept from run to run, so that the base model is read once.
_trainer = TrainerProcess()


@shared_task(name=JobKind.TRAIN.task)
def train_adapter() -> None:
    """Train waiting runs, one after the other."""
    sweep()
    run_job(JobKind.TRAIN, _train, per_firm=settings.TRAINING_RUNS_PER_FIRM, afterwards=_tidy)


@worker_ready.connect(weak=False)
def _sweep_at_start(**_: Any) -> None:
    sweep()
    connection.close()


def _tidy(claim: Claim) -> None:
    sweep_one(claim.tenant_id, claim.object_id)


def _train(held: Held) -> Record | CancelledWith:
    tenant_id = held.claim.tenant_id
    with firm_scope(tenant_id):
        run = selectors.run(tenant_id, held.claim.object_id)
        if gone := datasets.withdrawn(run.dataset).first():
            raise JobFailed(
                f"“{gone.document.name}” was withdrawn after this run was queued; make a version of the "
                "dataset without it, and train on that."
            )
        prompts = services.fixed_prompts(run.dataset)
        mode = costs.mode_for(run)
        lines = [as_line(example) for example in datasets.examples(run.dataset).iterator()]
        key = storage.derived_key(
            tenant_id=tenant_id, wrapped_key=run.tenant.wrapped_key, purpose=f"training {run.id}"
        )
    folder = RunFolder(held.claim)
    request = {
        "op": "train",
        "run": str(run.id),
        "base": str(_base_of(run).folder),
        "dataset": str(folder.examples),
        "spec": {**run.spec, "mode": mode},
        "output": str(folder.adapter),
        "work": str(folder.path),
        "key": base64.b64encode(key).decode(),
        "prompts": [dataclasses.asdict(prompt) for prompt in prompts],
        "checkpoint_seconds": settings.CHECKPOINT_SECONDS,
    }
    progress = Progress(run, held, prompts)
    with _postponed_when_full(), folder.in_use(lines):
        end = _follow(held, request, progress)
    progress.take_end(end)
    version_id = uuid.uuid5(
        run.id, "version"
    )  # the same for every attempt: what an earlier one left is replaced

    def record() -> None:
        progress.write()
        if end["event"] == "done":
            _record_cost(run)
        adapters.add_version(run=run, version_id=version_id, sha256=end["sha256"], size=end["bytes"])
        with _postponed_when_full():
            folder.publish_adapter(storage.adapter_dir(tenant_id, version_id))

    return CancelledWith(record) if end["event"] == "cancelled" else record


def _record_cost(run: TrainingRun) -> None:
    """What the run cost, for the next estimate. No run fails for want of it."""
    try:
        with transaction.atomic():
            costs.record_sample(run, device=measure_device.of_this_worker())
    except AWAY:
        raise
    except Exception as error:
        log.warning("The cost of run %s was not kept: %s.", run.id, type(error).__name__)


def _base_of(run: TrainingRun) -> selectors.BaseModel:
    try:
        base = selectors.base_model(run.base_model)
    except Unavailable as away:
        raise JobFailed(away.message) from None
    if base.revision != run.base_revision:
        raise JobFailed("The base model was replaced after this run was queued; start it again.")
    return base


def _follow(held: Held, request: Event, progress: Progress) -> Event:
    """Pass the trainer's events on until its last; returns the one that ended the run with an adapter."""
    run, cancelling, heard = progress.run, False, time.monotonic()
    try:
        with closing(_trainer.run(request)) as events:
            for event in events:
                if event is None:
                    progress.write_if_due()
                elif (end := _end(event)) is not None:
                    return end
                else:
                    progress.take(event)
                if held.lost.is_set():
                    held.check()
                if stopping.is_set():
                    raise JobPostponed
                if held.beat.is_set():
                    held.beat.clear()
                    heard = time.monotonic()
                    _trainer.beat(request["run"])
                if held.cancelled.is_set() and not cancelling:
                    cancelling = _pass_cancel_on(run)
    except ChildDied:
        outlived = time.monotonic() - heard < SILENCE_SECONDS
        if held.cancelled.is_set() and not run.keep_best:
            raise JobCancelled from None
        if outlived and held.is_last_attempt:
            raise JobFailed(DIED) from None
        raise JobPostponed(counted=outlived) from None
    raise AssertionError("the trainer's events end with one that ends the run")


def _end(event: Event) -> Event | None:
    """The event if the run ended with an adapter, None if it goes on."""
    match event["event"]:
        case "done":
            return event
        case "cancelled" if "sha256" in event:
            return event
        case "cancelled":
            raise JobCancelled
        case "failed":
            raise JobFailed(event["message"])
        case "postponed":
            raise JobPostponed(event["message"], seconds=event["seconds"])
        case "errored":
            raise JobErrored(event["trace"])
    return None


def _pass_cancel_on(run: TrainingRun) -> bool:
    """Tell the trainer; False where the database is away, which knows what the person wants kept."""
    try:
        with firm_scope(run.tenant_id):
            run.refresh_from_db(fields=["keep_best"])
    except AWAY:
        connection.close()
        return False
    _trainer.cancel(str(run.id), keep=run.keep_best)
    return True


@contextmanager
def _postponed_when_full() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise JobPostponed(DISK_FULL, seconds=DISK_FULL_SECONDS) from None
