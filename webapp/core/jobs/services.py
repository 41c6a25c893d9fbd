"""Every transition of a job: one conditional UPDATE each, so that two workers can never both make it."""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass
from datetime import timedelta

from celery.exceptions import CeleryError
from django.db import transaction
from django.db.models import Count, IntegerField, OuterRef, Subquery
from django.db.models.functions import Coalesce, Now
from django.utils import timezone
from kombu.exceptions import KombuError

from webapp.celery import app
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


class LeaseLost(Exception):
    """Another worker has the job now: stop, and write nothing."""


def enqueue(kind: JobKind, *, tenant_id: uuid.UUID, object_id: uuid.UUID) -> Job:
    """A new job, sent when the transaction commits."""
    job: Job = Job.objects.create(tenant_id=tenant_id, kind=kind, object_id=object_id)
    transaction.on_commit(lambda: wake(kind))
    return job


def wake(kind: JobKind) -> None:
    """Tell the workers that there is work. A broker that is away loses nothing: the relay says it again."""
    try:
        with app.connection_for_write() as connection:
            # kombu would try for seconds even so, and a person's request would wait with it
            connection.transport_options = {**(connection.transport_options or {}), "max_retries": 0}
            app.send_task(kind.task, connection=connection, retry=False)
    except (KombuError, CeleryError, OSError) as error:
        log.warning("The broker is away (%s); the relay will publish %s.", type(error).__name__, kind.task)


def claim(kind: JobKind, *, worker: str) -> Claim | None:
    """The next waiting job, the firm with the fewest running ones first; None when nothing waits."""
    with worker_scope():
        running = (
            Job.objects.filter(tenant_id=OuterRef("tenant_id"), kind=kind, state=JobState.RUNNING)
            .order_by()
            .values("tenant_id")
            .annotate(n=Count("id"))
            .values("n")
        )
        job = (
            Job.objects.filter(kind=kind, state=JobState.QUEUED)
            .annotate(busy=Coalesce(Subquery(running, output_field=IntegerField()), 0))
            .order_by("busy", "queued_at")
            .select_for_update(skip_locked=True, of=("self",))
            .first()
        )
        if job is None:
            return None
        epoch = job.epoch + 1
        Job.objects.filter(id=job.id).update(
            state=JobState.RUNNING,
            epoch=epoch,
            worker=worker,
            lease_until=Now() + LEASE,
            started_at=Now(),
        )
        return Claim(job.id, job.tenant_id, job.object_id, kind, epoch)


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
    """Take back what dead workers left; returns how many. What killed three workers is not tried again."""
    with worker_scope():
        abandoned = Job.objects.filter(state=JobState.RUNNING, lease_until__lt=Now())
        abandoned.filter(epoch__gte=MAX_CLAIMS).update(
            state=JobState.ERRORED,
            message="This stopped three times without an end; your operator has been told.",
            trace="lease expired on the last claim",
            ended_at=Now(),
        )
        return int(abandoned.update(state=JobState.QUEUED, lease_until=None, worker=""))


def waiting_kinds() -> list[JobKind]:
    with worker_scope():
        kinds = Job.objects.filter(state=JobState.QUEUED).order_by().values_list("kind", flat=True).distinct()
        return [JobKind(kind) for kind in kinds]
