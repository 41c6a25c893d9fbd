"""The one place that decides how a job ends."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from celery.signals import worker_shutting_down
from django.db import InterfaceError, OperationalError, close_old_connections, connection

from webapp.audit import services as audit
from webapp.core.jobs import services as jobs
from webapp.core.jobs.models import Job, JobKind, JobState
from webapp.core.jobs.services import Claim, LeaseLost
from webapp.core.tenancy import firm_scope
from webapp.core.traces import frames_only

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 1.0
DATABASE_SECONDS = 1.0  # between two looks for a database that is away
DATABASE_TRIES = 3  # of a transaction that fails although the database is there
FAULT = "Something went wrong on our side; the operator can see what. Please try again."

Record = Callable[[], None]
AWAY = (OperationalError, InterfaceError)  # what the driver raises when its connection breaks

# Set when this process was asked to end: no further job is begun, and a long one is given back.
stopping = threading.Event()


@worker_shutting_down.connect(weak=False)
def _stop(**_: Any) -> None:
    stopping.set()


@dataclass(frozen=True)
class CancelledWith:
    """A body's answer: a person cancelled the job, and this is recorded nevertheless."""

    record: Record


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


class JobPostponed(Exception):
    """The job goes back into the queue, to be claimed in `seconds` at the earliest; see `jobs.postpone`.

    `message` is one sentence for the person meanwhile.
    """

    def __init__(self, message: str = "", *, seconds: float = 0, counted: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.seconds = seconds
        self.counted = counted


class Held:
    """What a body may ask of the job it works on."""

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.cancelled = threading.Event()
        self.lost = threading.Event()
        self.beat = threading.Event()  # set at each renewal of the lease; whoever passes it on clears it
        self.attempts = claim.attempts

    @property
    def is_last_attempt(self) -> bool:
        return self.attempts >= jobs.MAX_CLAIMS

    def check(self) -> None:
        """Raises JobCancelled or LeaseLost as soon as the heartbeat has learned of it."""
        if self.lost.is_set():
            raise LeaseLost
        if self.cancelled.is_set():
            raise JobCancelled


def run_job(
    kind: JobKind,
    body: Callable[[Held], Record | CancelledWith],
    *,
    per_firm: int = 0,
    afterwards: Callable[[Claim], None] | None = None,
) -> None:
    """Claim and work through jobs of one kind until none may be claimed.

    `body` does the long work outside any transaction and returns what to record; the record and the job's end
    are one transaction, which happens only while the claim still holds. `afterwards` is called when a job was
    ended, given back or lost.
    """
    worker = f"{socket.gethostname()}:{os.getpid()}"
    while not stopping.is_set() and (claim := jobs.claim(kind, worker=worker, per_firm=per_firm)):
        _run_one(claim, body)
        if afterwards is not None:
            afterwards(claim)
        close_old_connections()


def _run_one(claim: Claim, body: Callable[[Held], Record | CancelledWith]) -> None:
    held = Held(claim)
    try:
        with _beating(held):
            answer = body(held)
        if isinstance(answer, CancelledWith):
            _end(claim, JobState.CANCELLED, record=answer.record)
        else:
            _end(claim, JobState.SUCCEEDED, record=answer)
    except LeaseLost:
        log.warning("Job %s is another worker's now; nothing is written.", claim.job_id)
    except JobCancelled:
        _end(claim, JobState.CANCELLED)
    except JobPostponed as waiting:
        _postpone(claim, waiting)
    except JobFailed as failure:
        _end(claim, JobState.FAILED, message=failure.message)
    except Exception as error:
        trace = error.trace if isinstance(error, JobErrored) else frames_only(error)
        log.error("Job %s errored:\n%s", claim.job_id, trace)
        if isinstance(error, AWAY) and not held.is_last_attempt:
            _postpone(claim, JobPostponed(counted=True))
        else:
            _end(claim, JobState.ERRORED, message=FAULT, trace=trace)


def _end(
    claim: Claim, state: JobState, *, message: str = "", trace: str = "", record: Record | None = None
) -> None:
    def end() -> None:
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

    _patiently(end)


def _postpone(claim: Claim, waiting: JobPostponed) -> None:
    def postpone() -> None:
        held = jobs.postpone(claim, message=waiting.message, seconds=waiting.seconds, counted=waiting.counted)
        if not held:
            log.warning("Job %s was no longer held when it was to wait.", claim.job_id)

    _patiently(postpone)


def _patiently(transaction: Callable[[], None]) -> None:
    """Write a job's end however long the database is away: hours of work may hang on it.

    A commit of which the answer was lost is not repeated: the claim no longer holds then.
    """
    tries = 0
    while True:
        try:
            return transaction()
        except AWAY as error:
            connection.close()
            tries += _database_answers()
            if tries >= DATABASE_TRIES:
                raise
            log.warning("The database is away (%s); the job's end waits for it.", type(error).__name__)
            time.sleep(DATABASE_SECONDS)


def _database_answers() -> bool:
    try:
        connection.ensure_connection()
    except AWAY:
        return False
    return True


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
                    held.beat.set()
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
