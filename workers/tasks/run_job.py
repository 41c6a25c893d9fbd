"""The one place that decides how a job ends."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import close_old_connections, connection

from webapp.audit import services as audit
from webapp.core.jobs import services as jobs
from webapp.core.jobs.models import Job, JobKind, JobState
from webapp.core.jobs.services import Claim, LeaseLost
from webapp.core.tenancy import firm_scope
from webapp.core.traces import frames_only

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 1.0
FAULT = "Something went wrong on our side; the operator can see what. Please try again."

Record = Callable[[], None]


class JobFailed(Exception):
    """An expected failure. `message` is one sentence for the person."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class JobErrored(Exception):
    """A fault in a process that worked for the job. `trace` holds that process's frames."""

    def __init__(self, trace: str) -> None:
        super().__init__()
        self.trace = trace


class JobCancelled(Exception):
    """A person asked for it."""


class Held:
    """What a body may ask of the job it works on."""

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.cancelled = threading.Event()
        self.lost = threading.Event()

    def check(self) -> None:
        """Raises JobCancelled or LeaseLost as soon as the heartbeat has learned of it."""
        if self.lost.is_set():
            raise LeaseLost
        if self.cancelled.is_set():
            raise JobCancelled


def run_job(kind: JobKind, body: Callable[[Held], Record]) -> None:
    """Claim and work through jobs of one kind until none waits.

    `body` does the long work outside any transaction and returns what to record; the record and the job's end
    are one transaction, which happens only while the claim still holds.
    """
    worker = f"{socket.gethostname()}:{os.getpid()}"
    while claim := jobs.claim(kind, worker=worker):
        _run_one(claim, body)
        close_old_connections()


def _run_one(claim: Claim, body: Callable[[Held], Record]) -> None:
    held = Held(claim)
    try:
        with _beating(held):
            record = body(held)
        _end(claim, JobState.SUCCEEDED, record=record)
    except LeaseLost:
        log.warning("Job %s is another worker's now; nothing is written.", claim.job_id)
    except JobCancelled:
        _end(claim, JobState.CANCELLED)
    except JobFailed as failure:
        _end(claim, JobState.FAILED, message=failure.message)
    except Exception as error:
        trace = error.trace if isinstance(error, JobErrored) else frames_only(error)
        log.error("Job %s errored:\n%s", claim.job_id, trace)
        _end(claim, JobState.ERRORED, message=FAULT, trace=trace)


def _end(
    claim: Claim, state: JobState, *, message: str = "", trace: str = "", record: Record | None = None
) -> None:
    with firm_scope(claim.tenant_id):
        if not jobs.finish(claim, state, message=message, trace=trace):
            log.warning("Job %s was no longer held at its end; nothing is written.", claim.job_id)
            return
        if record is not None:
            record()
        job = Job.objects.get(id=claim.job_id)
        audit.record(
            tenant_id=claim.tenant_id,
            actor=None,
            action=f"job.{state}",
            target=job,
            kind=claim.kind,
            object=str(claim.object_id),
        )


@contextmanager
def _beating(held: Held) -> Iterator[None]:
    """Renew the lease from a thread of its own while the body works."""
    done = threading.Event()

    def beat() -> None:
        try:
            while not done.wait(HEARTBEAT_SECONDS):
                try:
                    if jobs.heartbeat(held.claim):
                        held.cancelled.set()
                except LeaseLost:
                    held.lost.set()
                    return
                except Exception as error:  # a database that is away for a moment: the lease outlives it
                    log.warning("Heartbeat of job %s missed: %s", held.claim.job_id, type(error).__name__)
                    connection.close()
        finally:
            connection.close()

    thread = threading.Thread(target=beat, name=f"heartbeat-{held.claim.job_id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
