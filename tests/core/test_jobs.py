"""The job kernel on a real database: claims, leases, fencing, fairness."""

from __future__ import annotations

import threading
import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now

from tests.conftest import Firm, make_firm
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


def test_one_worker_serves_the_firms_in_turn(firm: Firm, other_firm: Firm) -> None:
    """Nothing runs between two claims of one worker, so that running jobs alone would tell it nothing."""
    third = make_firm("Cole", {})
    for _ in range(4):
        add(firm)
    for late in (other_firm, third, other_firm):
        add(late)
    order = []
    while claim := jobs.claim(JobKind.EXTRACT, worker="one"):
        order.append(claim.tenant_id)
        with tenant_scope(claim.tenant_id):
            jobs.finish(claim, JobState.SUCCEEDED)
    a, b, c = firm.tenant.id, other_firm.tenant.id, third.tenant.id
    assert order == [a, b, c, a, b, a, a]


def test_the_turn_is_remembered_between_batches(firm: Firm, other_firm: Firm) -> None:
    add(firm)
    first = jobs.claim(JobKind.EXTRACT, worker="one")
    assert first is not None
    with tenant_scope(firm.tenant.id):
        jobs.finish(first, JobState.SUCCEEDED)
    add(firm)
    add(other_firm)
    second = jobs.claim(JobKind.EXTRACT, worker="one")
    assert second is not None and second.tenant_id == other_firm.tenant.id


def test_a_firm_at_its_limit_is_passed_over(firm: Firm, other_firm: Firm) -> None:
    for _ in range(3):
        add(firm)
    claims = [jobs.claim(JobKind.EXTRACT, worker="one", per_firm=2) for _ in range(3)]
    assert [claim is not None for claim in claims] == [True, True, False]
    add(other_firm)
    another = jobs.claim(JobKind.EXTRACT, worker="one", per_firm=2)
    assert another is not None and another.tenant_id == other_firm.tenant.id
    assert jobs.claim(JobKind.EXTRACT, worker="one", per_firm=3) is not None


@pytest.mark.django_db(transaction=True)
def test_two_workers_that_claim_at_once_keep_a_firms_limit(firm: Firm) -> None:
    rounds = 10
    for _ in range(rounds):
        for _ in range(2):
            add(firm)
        together = threading.Barrier(2)
        claims: list[jobs.Claim | None] = []

        def work(together: threading.Barrier = together, claims: list[jobs.Claim | None] = claims) -> None:
            together.wait()
            claims.append(jobs.claim(JobKind.EXTRACT, worker="one", per_firm=1))
            connection.close()

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (claim,) = [claim for claim in claims if claim is not None]
        with tenant_scope(firm.tenant.id):
            jobs.finish(claim, JobState.SUCCEEDED)


def test_the_place_in_the_queue_is_the_one_that_claims_give(firm: Firm, other_firm: Firm) -> None:
    third = make_firm("Cole", {})
    added = [add(who) for who in (firm, firm, firm, other_firm, firm, third, other_firm, firm)]
    running = jobs.claim(JobKind.EXTRACT, worker="one")
    assert running is not None
    waiting = [job for job in added if job.id != running.job_id]
    places = {job.id: jobs.position(look(job)) for job in waiting}
    claimed = []
    while claim := jobs.claim(JobKind.EXTRACT, worker="one"):
        claimed.append(claim.job_id)
    assert [places[job_id] for job_id in claimed] == list(range(1, 8))
    assert jobs.position(look(added[0])) is None, "it runs"


def test_what_is_asked_in_a_firms_scope_is_its_place_among_all(firm: Firm, other_firm: Firm) -> None:
    add(firm)
    add(firm)
    theirs = add(other_firm)
    with tenant_scope(other_firm.tenant.id):
        assert jobs.position(theirs) == 2
        assert [job.id for job in Job.objects.all()] == [theirs.id], "the firm's scope is back"


def test_a_postponed_job_waits_for_its_time_and_says_why(job: Job) -> None:
    claim = jobs.claim(JobKind.EXTRACT, worker="one")
    assert claim is not None
    assert jobs.postpone(claim, message="The disk is full.", seconds=60)
    waiting = look(job)
    assert (waiting.state, waiting.message) == (JobState.QUEUED, "The disk is full.")
    assert jobs.claim(JobKind.EXTRACT, worker="one") is None
    assert jobs.position(waiting) is None
    assert jobs.waiting_kinds() == [], "the relay has nothing to say"
    with pytest.raises(LeaseLost):
        jobs.heartbeat(claim)
    with worker_scope():
        Job.objects.filter(id=job.id).update(not_before=Now() - timedelta(seconds=1))
    assert jobs.waiting_kinds() == [JobKind.EXTRACT]
    assert jobs.position(look(job)) == 1
    again = jobs.claim(JobKind.EXTRACT, worker="one")
    assert again is not None and look(job).message == ""


def test_a_lost_claim_postpones_nothing(job: Job) -> None:
    dead = jobs.claim(JobKind.EXTRACT, worker="dead")
    assert dead is not None
    let_lease_run_out(job)
    jobs.requeue_abandoned()
    assert jobs.claim(JobKind.EXTRACT, worker="alive") is not None
    assert not jobs.postpone(dead, message="", seconds=0)
    assert not jobs.progressed(dead)
    assert look(job).state == JobState.RUNNING


def test_a_postponed_job_can_be_cancelled(job: Job) -> None:
    claim = jobs.claim(JobKind.EXTRACT, worker="one")
    assert claim is not None
    jobs.postpone(claim, message="The disk is full.", seconds=60)
    with tenant_scope(job.tenant_id):
        jobs.request_cancel(job)
    assert look(job).state == JobState.CANCELLED


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


def test_a_job_that_gets_on_between_its_workers_deaths_goes_on(job: Job) -> None:
    for _ in range(3 * MAX_CLAIMS):
        claim = jobs.claim(JobKind.EXTRACT, worker="dies later")
        assert claim is not None and claim.attempts == 1
        assert jobs.progressed(claim)
        let_lease_run_out(job)
        assert jobs.requeue_abandoned() == 1
    assert look(job).state == JobState.QUEUED


def test_waiting_for_something_outside_is_no_attempt(job: Job) -> None:
    for counted, attempts in [(False, [1, 1, 1]), (True, [1, 2, 3])]:
        for expected in attempts:
            claim = jobs.claim(JobKind.EXTRACT, worker="one")
            assert claim is not None and claim.attempts == expected
            jobs.postpone(claim, message="", seconds=0, counted=counted)


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

    assert {kind.task for kind in JobKind} <= set(app.tasks)
    assert {beat["task"] for beat in app.conf.beat_schedule.values()} <= set(app.tasks)
    assert {name for name in app.tasks if name.startswith("housestyle.")} == {
        *(kind.task for kind in JobKind),
        *(beat["task"] for beat in app.conf.beat_schedule.values()),
    }


@pytest.mark.django_db(transaction=True)
def test_work_is_kept_while_the_broker_is_away(firm: Firm, monkeypatch: pytest.MonkeyPatch) -> None:
    from webapp.celery import app

    monkeypatch.setattr(app.conf, "broker_url", "redis://127.0.0.1:1/0")
    with tenant_scope(firm.tenant.id):
        job = jobs.enqueue(JobKind.EXTRACT, tenant_id=firm.tenant.id, object_id=uuid.uuid4())
    assert look(job).state == JobState.QUEUED
