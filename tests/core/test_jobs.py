"""The job kernel on a real database: claims, leases, fencing, fairness."""

from __future__ import annotations

import uuid

import pytest
from django.db.models.functions import Now

from tests.conftest import Firm
from webapp.core.jobs import services as jobs
from webapp.core.jobs.models import Job, JobKind, JobState
from webapp.core.jobs.services import LEASE, MAX_CLAIMS, LeaseLost
from webapp.core.tenancy import tenant_scope, worker_scope


def add(firm: Firm, kind: JobKind = JobKind.EXTRACT) -> Job:
    with tenant_scope(firm.tenant.id):
        return jobs.enqueue(kind, tenant_id=firm.tenant.id, object_id=uuid.uuid4())


def look(job: Job) -> Job:
    with worker_scope():
        return Job.objects.get(id=job.id)


def let_lease_run_out(job: Job) -> None:
    with worker_scope():
        Job.objects.filter(id=job.id).update(lease_until=Now() - LEASE)


@pytest.fixture
def job(firm: Firm) -> Job:
    return add(firm)


def test_a_job_is_claimed_once(job: Job) -> None:
    first = jobs.claim(JobKind.EXTRACT, worker="one")
    assert first is not None and first.job_id == job.id
    assert jobs.claim(JobKind.EXTRACT, worker="two") is None
    assert look(job).state == JobState.RUNNING


def test_a_worker_claims_only_its_kind(job: Job) -> None:
    assert jobs.claim(JobKind.TRAIN, worker="one") is None


def test_a_firm_with_many_jobs_does_not_hold_up_anothers_first(firm: Firm, other_firm: Firm) -> None:
    for _ in range(3):
        add(firm)
    add(other_firm)
    order = []
    while claim := jobs.claim(JobKind.EXTRACT, worker="one"):
        order.append(claim.tenant_id)
    assert order == [firm.tenant.id, other_firm.tenant.id, firm.tenant.id, firm.tenant.id]


def test_a_dead_workers_job_is_taken_back_and_its_late_end_is_ignored(job: Job) -> None:
    dead = jobs.claim(JobKind.EXTRACT, worker="dead")
    assert dead is not None
    let_lease_run_out(job)
    assert jobs.requeue_abandoned() == 1
    second = jobs.claim(JobKind.EXTRACT, worker="alive")
    assert second is not None and second.epoch == dead.epoch + 1
    with pytest.raises(LeaseLost):
        jobs.heartbeat(dead)
    with tenant_scope(dead.tenant_id):
        assert not jobs.finish(dead, JobState.SUCCEEDED)
        assert jobs.finish(second, JobState.SUCCEEDED)
    assert look(job).state == JobState.SUCCEEDED


def test_a_job_that_kills_its_workers_is_not_tried_for_ever(job: Job) -> None:
    for _ in range(MAX_CLAIMS):
        assert jobs.claim(JobKind.EXTRACT, worker="dies") is not None
        let_lease_run_out(job)
        jobs.requeue_abandoned()
    assert jobs.claim(JobKind.EXTRACT, worker="dies") is None
    assert look(job).state == JobState.ERRORED


def test_a_living_worker_keeps_its_lease(job: Job) -> None:
    claim = jobs.claim(JobKind.EXTRACT, worker="one")
    assert claim is not None
    let_lease_run_out(job)
    assert jobs.heartbeat(claim) is False
    assert jobs.requeue_abandoned() == 0


def test_cancelling_a_waiting_job_ends_it_at_once(job: Job) -> None:
    with tenant_scope(job.tenant_id):
        jobs.request_cancel(job)
    assert look(job).state == JobState.CANCELLED
    assert jobs.claim(JobKind.EXTRACT, worker="one") is None


def test_cancelling_a_running_job_is_heard_at_its_next_heartbeat(job: Job) -> None:
    claim = jobs.claim(JobKind.EXTRACT, worker="one")
    assert claim is not None
    with tenant_scope(job.tenant_id):
        jobs.request_cancel(job)
    assert look(job).state == JobState.RUNNING
    assert jobs.heartbeat(claim) is True


def test_the_relay_knows_what_waits(job: Job) -> None:
    assert jobs.waiting_kinds() == [JobKind.EXTRACT]


def test_every_kind_of_job_has_a_registered_task() -> None:
    from workers.app import app

    assert {kind.task for kind in JobKind} | {"housestyle.relay"} <= set(app.tasks)
    assert {name for name in app.tasks if name.startswith("housestyle.")} == {
        *(kind.task for kind in JobKind),
        "housestyle.relay",
    }


@pytest.mark.django_db(transaction=True)
def test_work_is_kept_while_the_broker_is_away(firm: Firm, monkeypatch: pytest.MonkeyPatch) -> None:
    from webapp.celery import app

    monkeypatch.setattr(app.conf, "broker_url", "redis://127.0.0.1:1/0")
    with tenant_scope(firm.tenant.id):
        job = jobs.enqueue(JobKind.EXTRACT, tenant_id=firm.tenant.id, object_id=uuid.uuid4())
    assert look(job).state == JobState.QUEUED
