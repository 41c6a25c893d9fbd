"""Where a training run keeps what outlives its worker: sealed checkpoints and the frozen prefix.

`CHECKPOINTS_DIR/<firm>/<run>`. The examples in plain words lie there only while a worker has the run, under
the number of its claim, and so does the adapter until it is recorded: a worker that has lost the run can
remove what is its own and touches nothing of its successor's.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings

from webapp.core import storage
from webapp.core.jobs.models import ENDED, Job, JobKind, JobState
from webapp.core.jobs.services import Claim
from webapp.core.tenancy import worker_scope
from workers.tasks.run_job import AWAY

log = logging.getLogger(__name__)


class RunFolder:
    def __init__(self, claim: Claim) -> None:
        self.path = storage.checkpoint_dir(claim.tenant_id, claim.object_id)
        self.examples = self.path / f"examples-{claim.epoch}.jsonl"
        self.adapter = self.path / f"adapter-{claim.epoch}"

    @contextmanager
    def in_use(self, lines: Iterable[dict[str, Any]]) -> Iterator[None]:
        """The examples lie in `examples` as long as the block lasts. Raises OSError."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        remove_plain(self.path)
        try:
            with open(os.open(self.examples, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
                file.writelines(json.dumps(line) + "\n" for line in lines)
            yield
        finally:
            self.examples.unlink(missing_ok=True)

    def publish_adapter(self, folder: Path) -> None:
        """Move the adapter to `folder`, in the place of what an attempt that was not recorded left there.

        Raises OSError.
        """
        if folder.exists() and not self.adapter.exists():
            return  # moved by this transaction when it was tried before
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        if self.path.stat().st_dev == folder.parent.stat().st_dev:
            self.adapter.rename(folder)
        else:
            beside = folder.with_name(f".{folder.name}")
            shutil.rmtree(beside, ignore_errors=True)
            shutil.copytree(self.adapter, beside)
            beside.rename(folder)
        _flush(folder.parent)


def remove_plain(folder: Path) -> None:
    """Remove what former attempts left in plain: their worker is dead or has lost the run."""
    for path in folder.glob("examples-*.jsonl"):
        path.unlink(missing_ok=True)
    for name in ("adapter-*", ".adapter-*"):  # whole, half written
        for path in folder.glob(name):
            shutil.rmtree(path, ignore_errors=True)


def sweep() -> None:
    """Remove the folders of runs that have ended, and what is plain in those of runs that wait."""
    for path in Path(settings.CHECKPOINTS_DIR).glob("*/*"):
        try:
            sweep_one(uuid.UUID(path.parent.name), uuid.UUID(path.name))
        except ValueError:
            continue  # nobody's we know


def sweep_one(tenant_id: uuid.UUID, run_id: uuid.UUID) -> None:
    """The same for one run. A database that is away leaves it to the next time."""
    folder = storage.checkpoint_dir(tenant_id, run_id)
    try:
        with worker_scope():
            job = Job.objects.filter(kind=JobKind.TRAIN, object_id=run_id).first()
            if job is None or job.state in ENDED:
                shutil.rmtree(folder, ignore_errors=True)
            elif job.state == JobState.QUEUED and _is_ours_alone(job):
                remove_plain(folder)
    except AWAY as error:
        log.warning("%s is looked at later: %s.", folder, type(error).__name__)


def _is_ours_alone(job: Job) -> bool:
    """To the end of the transaction no worker can claim the job; False where one just does."""
    waiting = Job.objects.filter(id=job.id, state=JobState.QUEUED)
    return waiting.select_for_update(skip_locked=True).first() is not None


def _flush(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
