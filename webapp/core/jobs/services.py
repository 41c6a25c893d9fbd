"""Every transition of a job: one conditional UPDATE each, so that two workers can never both make it."""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass
from datetime import timedelta

from celery.exceptions import CeleryError
from django.db import connection, transaction
from django.db.models import F, Q, Value
from django.db.models.functions import Greatest, Now
from django.utils import timezone
from kombu.exceptions import KombuError

from webapp.celery import app
from webapp.core.jobs import turns
from webapp.core.jobs.models import Job, JobKind, JobState
from webapp.core.tenancy import tenant_scope, worker_scope

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=30)
MAX_CLAIMS = 3


@dataclass(frozen=True)
class Claim:
    """A worker's hold on a job until its lease runs out."""

    job_id: uuid.UUID
    tenant_id: uuid.UUID
    object_id: uuid.UUID
    kind: JobKind
    epoch: int
    attempts: int = 1  # claims since the job last got on, this one included


class LeaseLost(Exception):
    """Another worker has the job now: stop, and write nothing."""


def enqueue(kind: JobKind, *, tenant_id: uuid.UUID, object_id: uuid.UUID) -> Job:
    """A new job, sent when the transaction commits."""
    job: Job = Job.objects.create(tenant_id=tenant_id, kind=kind, object_id=object_id)
    transaction.on_commit(lambda: wake(kind))
    return job


def wake(kind: JobKind) -> None:
    """Tell the workers that there is work. A broker that is away loses nothing: the relay says it again."""
    publish(kind.task)


def publish(task: str) -> None:
    """Send a task that beat sends again in any case: a broker that is away is only noted."""
    try:
        with app.connection_for_write() as connection:
            # kombu would try for seconds even so, and a person's request would wait with it
            connection.transport_options = {**(connection.transport_options or {}), "max_retries": 0}
            app.send_task(task, connection=connection, retry=False)
    except (KombuError, CeleryError, OSError) as error:
        log.warning("The broker is away (%s); beat will publish %s.", type(error).__name__, task)


def claim(kind: JobKind, *, worker: str, per_firm: int = 0) -> Claim | None:
    """The next waiting job, the firms served in turn (see `turns`); None when nothing may be claimed.

    A firm that already runs `per_firm` jobs of the kind is passed over; 0 sets no limit.
    """
    with worker_scope():
        _one_claim_at_a_time(kind)
        for firm in turns.firms_in_turn(kind):
            if per_firm and firm.running >= per_firm:
                break  # those behind it run as many or more
            waiting = turns.due(kind).filter(tenant_id=firm.tenant_id)
            job = waiting.select_for_update(skip_locked=True, of=("self",)).first()
            if job is not None:
                return _take(job, kind, worker)
    return None


def _one_claim_at_a_time(kind: JobKind) -> None:
    """To the end of the transaction: two claims at once would both count the same running jobs."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"housestyle.claim.{kind}"])


def _take(job: Job, kind: JobKind, worker: str) -> Claim:
    claim = Claim(job.id, job.tenant_id, job.object_id, kind, job.epoch + 1, job.attempts + 1)
    Job.objects.filter(id=job.id).update(
        state=JobState.RUNNING,
        epoch=claim.epoch,
        attempts=claim.attempts,
        not_before=None,
        message="",
        worker=worker,
        lease_until=Now() + LEASE,
        started_at=Now(),
    )
    return claim


def position(job: Job) -> int | None:
    """The job's place in the queue of its kind, over all firms: 1 is the next.

    None for one that does not wait, or waits for its time instead of its turn (see `postpone`).
    """
    if job.state != JobState.QUEUED:
        return None
    with worker_scope():
        return turns.place_of(job.id, JobKind(job.kind))


def heartbeat(claim: Claim) -> bool:
    """Renew the lease; True when a person asked to cancel. Raises LeaseLost when the job is another's."""
    with tenant_scope(claim.tenant_id):
        held = Job.objects.filter(id=claim.job_id, epoch=claim.epoch, state=JobState.RUNNING)
        if not held.update(lease_until=Now() + LEASE):
            raise LeaseLost
        return bool(held.values_list("cancel_requested", flat=True).get())


def fence(claim: Claim) -> None:
    """Hold the job's row to the end of the caller's transaction, inside the firm's scope: what is written
    with it is written only while the claim holds. Raises LeaseLost when the job is another's.

    Keep such a transaction short: the heartbeat waits for it.
    """
    held = Job.objects.filter(id=claim.job_id, epoch=claim.epoch, state=JobState.RUNNING)
    if held.select_for_update().first() is None:
        raise LeaseLost


def progressed(claim: Claim) -> bool:
    """The job got on: whatever stops it from here on is a first attempt again. False when the claim no longer
    holds it."""
    with tenant_scope(claim.tenant_id):
        held = Job.objects.filter(id=claim.job_id, epoch=claim.epoch, state=JobState.RUNNING)
        return bool(held.update(attempts=0))


def postpone(claim: Claim, *, message: str, seconds: float, counted: bool = False) -> bool:
    """Put the job back into the queue, to be claimed in `seconds` at the earliest. False when the claim no
    longer holds it. `message` is one sentence for the person meanwhile.

    Waiting for something outside is no attempt; with `counted` this one stays one, so that what stops the
    job each time cannot go on for ever.
    """
    with tenant_scope(claim.tenant_id):
        return bool(
            Job.objects.filter(id=claim.job_id, epoch=claim.epoch, state=JobState.RUNNING).update(
                state=JobState.QUEUED,
                not_before=Now() + timedelta(seconds=seconds),
                message=message,
                attempts=F("attempts") if counted else Greatest(F("attempts"), Value(1)) - 1,
                lease_until=None,
                worker="",
            )
        )


def finish(claim: Claim, state: JobState, *, message: str = "", trace: str = "") -> bool:
    """End the job; False when the claim no longer holds it. Call it inside the firm's transaction."""
    return bool(
        Job.objects.filter(id=claim.job_id, epoch=claim.epoch, state=JobState.RUNNING).update(
            state=state, message=message, trace=trace, lease_until=None, ended_at=timezone.now()
        )
    )


def request_cancel(job: Job) -> None:
    """A waiting job ends at once; a running one at its next heartbeat."""
    waiting = Job.objects.filter(id=job.id, state=JobState.QUEUED)
    if not waiting.update(state=JobState.CANCELLED, ended_at=timezone.now()):
        Job.objects.filter(id=job.id, state=JobState.RUNNING).update(cancel_requested=True)


def requeue_abandoned() -> int:
    """Take back what dead workers left; returns how many. What stopped three workers without getting on in
    between is not tried again."""
    with worker_scope():
        abandoned = Job.objects.filter(state=JobState.RUNNING, lease_until__lt=Now())
        abandoned.filter(attempts__gte=MAX_CLAIMS).update(
            state=JobState.ERRORED,
            message="This stopped three times without an end; your operator has been told.",
            trace="lease expired on the last claim",
            ended_at=Now(),
        )
        return int(abandoned.update(state=JobState.QUEUED, lease_until=None, worker=""))


def waiting_kinds() -> list[JobKind]:
    """The kinds of which a job may be claimed now."""
    with worker_scope():
        waiting = Job.objects.filter(Q(not_before=None) | Q(not_before__lte=Now()), state=JobState.QUEUED)
        return [JobKind(kind) for kind in waiting.order_by().values_list("kind", flat=True).distinct()]
