from __future__ import annotations

import json
import shutil
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from celery import shared_task
from django.conf import settings

from webapp.adapters import services as adapters
from webapp.core import storage
from webapp.core.jobs.models import JobKind
from webapp.core.tenancy import firm_scope
from webapp.datasets import selectors as datasets
from webapp.datasets.services import as_line
from webapp.training import selectors, services
from webapp.training.models import Phase, TrainingRun
from workers.tasks.run_job import Held, JobCancelled, JobErrored, JobFailed, Record, run_job
from workers.trainer_process import Event, TrainerProcess

# What the page shows is refreshed this often, however quick the steps are.
REPORT_SECONDS = 0.5

# One child per worker, kept from run to run, so that the base model is read once.
_trainer = TrainerProcess()


@shared_task(name=JobKind.TRAIN.task)
def train_adapter() -> None:
    """Train waiting runs, one after the other."""
    run_job(JobKind.TRAIN, _train)


def _train(held: Held) -> Record:
    tenant_id = held.claim.tenant_id
    with firm_scope(tenant_id):
        run = selectors.run(tenant_id, held.claim.object_id)
        if gone := datasets.withdrawn(run.dataset).first():
            raise JobFailed(
                f"“{gone.document.name}” was withdrawn after this run was queued; make a version of the "
                "dataset without it, and train on that."
            )
        services.forget_progress(run)
        lines = [as_line(example) for example in datasets.examples(run.dataset).iterator()]
    base = selectors.base_model()
    if base.revision != run.base_revision:
        raise JobFailed("The base model was replaced after this run was queued; start it again.")

    version_id = uuid.uuid4()
    output = storage.adapter_dir(tenant_id, version_id)
    output.parent.mkdir(parents=True, exist_ok=True)
    Path(settings.WORK_DIR).mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=settings.WORK_DIR) as folder:
        examples = Path(folder) / "examples.jsonl"
        examples.write_text("".join(json.dumps(line) + "\n" for line in lines))
        request = {
            "op": "train",
            "run": str(run.id),
            "base": str(base.folder),
            "dataset": str(examples),
            "spec": run.spec,
            "output": str(output),
        }
        progress = Progress(run)
        try:
            done = _follow(held, request, progress)
        except BaseException:
            shutil.rmtree(output, ignore_errors=True)
            raise

    def record() -> None:
        progress.flush()
        services.record_progress(run, seconds=done["seconds"], peak_bytes=done["peak_bytes"], seconds_left=0)
        adapters.add_version(run=run, version_id=version_id, sha256=done["sha256"], size=done["bytes"])

    return record


def _follow(held: Held, request: dict[str, Any], progress: Progress) -> Event:
    """Pass the trainer's events on until its last; returns the `done` event."""
    cancelling = False
    for event in _trainer.run(request):
        if event is not None:
            match event["event"]:
                case "done":
                    return event
                case "failed":
                    raise JobFailed(event["message"])
                case "cancelled":
                    raise JobCancelled
                case "errored":
                    raise JobErrored(event["trace"])
                case _:
                    progress.take(event)
        if held.lost.is_set():
            _trainer.stop()
            held.check()
        if held.cancelled.is_set() and not cancelling:
            cancelling = True
            _trainer.cancel(request["run"])
    raise AssertionError("the trainer's events end with one of the ends above")


class Progress:
    """What the trainer says of itself, kept for the page in one small transaction every half second."""

    def __init__(self, run: TrainingRun) -> None:
        self.run = run
        self._fields: dict[str, Any] = {}
        self._points: list[tuple[str, int, float]] = []
        self._written = 0.0

    def take(self, event: Event) -> None:
        match event["event"]:
            case "loading":
                self._fields["phase"] = Phase.LOADING
            case "started":
                self._fields.update(
                    phase=Phase.BEFORE,
                    steps=event["steps"],
                    trainable_parameters=event["trainable_parameters"],
                    frozen_parameters=event["frozen_parameters"],
                    train_tokens=event["train_tokens"],
                    truncated_examples=event["truncated_examples"],
                )
            case "heldout":
                before = event["step"] == 0
                self._fields["heldout_before" if before else "heldout_after"] = event["loss"]
                self._fields["phase"] = Phase.TRAINING if before else Phase.SAVING
                self._points.append(("heldout", event["step"], event["loss"]))
            case "step":
                self._fields.update(
                    phase=Phase.TRAINING if event["step"] < event["steps"] else Phase.SAVING,
                    step=event["step"],
                    steps=event["steps"],
                    learning_rate=event["learning_rate"],
                    tokens_per_s=event["tokens_per_s"],
                    seconds_left=event["seconds_left"],
                )
                self._points.append(("train", event["step"], event["loss"]))
        if time.monotonic() - self._written >= REPORT_SECONDS or event["event"] != "step":
            with firm_scope(self.run.tenant_id):
                self.flush()

    def flush(self) -> None:
        """Write what has gathered, in the caller's transaction."""
        if self._points:
            services.record_losses(self.run, self._points)
        if self._fields:
            services.record_progress(self.run, **self._fields)
        self._points, self._fields = [], {}
        self._written = time.monotonic()
