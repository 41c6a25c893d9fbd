"""How a job ends, whatever its body does."""

from __future__ import annotations

import threading
import uuid

import pytest
from django.db import InterfaceError, OperationalError, connection

from tests.conftest import Firm
from webapp.audit import selectors as audit
from webapp.core.jobs import services as jobs
from webapp.core.jobs.models import Job, JobKind, JobState
from webapp.core.tenancy import tenant_scope
from webapp.documents import services as documents
from webapp.tenants.models import Tenant
from workers.tasks import run_job as module
from workers.tasks.run_job import (
    CancelledWith,
    Held,
    JobCancelled,
    JobErrored,
    JobFailed,
    JobPostponed,
    Record,
    run_job,
)

# A job's heartbeat is a thread with a connection of its own: it sees only what was committed.
pytestmark = pytest.mark.django_db(transaction=True)

PRIVILEGED = "the client admits the debt"


@pytest.fixture
def job(firm: Firm) -> Job:
    with tenant_scope(firm.tenant.id):
        return documents.upload(member=firm.alice, name="a.txt", data=b"x").job


def ended(job: Job) -> Job:
    with tenant_scope(job.tenant_id):
        return Job.objects.get(id=job.id)


def nothing() -> None:
    """A record that has nothing to write."""


def test_a_body_that_returns_succeeds_and_its_record_is_written(job: Job) -> None:
    def rename() -> None:
        Tenant.objects.filter(id=job.tenant_id).update(name="Recorded")

    run_job(JobKind.EXTRACT, lambda held: rename)
    assert ended(job).state == JobState.SUCCEEDED
    with tenant_scope(job.tenant_id):
        assert Tenant.objects.get().name == "Recorded"
        assert audit.events(job.tenant_id)[0].action == "job.succeeded"


def test_an_expected_failure_is_a_sentence_for_the_person(job: Job) -> None:
    def body(held: Held) -> Record:
        raise JobFailed("This file is empty; choose another one.")

    run_job(JobKind.EXTRACT, body)
    assert (ended(job).state, ended(job).message) == (
        JobState.FAILED,
        "This file is empty; choose another one.",
    )


def test_a_fault_is_frames_for_the_operator_and_never_a_documents_text(job: Job) -> None:
    def body(held: Held) -> Record:
        raise KeyError(PRIVILEGED)

    run_job(JobKind.EXTRACT, body)
    found = ended(job)
    assert found.state == JobState.ERRORED
    assert "KeyError" in found.trace and "test_run_job.py" in found.trace
    assert PRIVILEGED not in found.trace + found.message


def test_a_record_that_fails_leaves_neither_half(job: Job) -> None:
    def record() -> None:
        Tenant.objects.filter(id=job.tenant_id).update(name="Half")
        raise RuntimeError

    run_job(JobKind.EXTRACT, lambda held: record)
    assert ended(job).state == JobState.ERRORED
    with tenant_scope(job.tenant_id):
        assert Tenant.objects.get().name != "Half"


def test_a_cancel_reaches_the_body(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.01)

    def body(held: Held) -> Record:
        with tenant_scope(job.tenant_id):
            jobs.request_cancel(Job.objects.get(id=job.id))
        assert held.cancelled.wait(20)
        held.check()
        raise AssertionError("check raises JobCancelled")

    run_job(JobKind.EXTRACT, body)
    assert ended(job).state == JobState.CANCELLED


def test_what_a_cancelled_job_kept_is_recorded_with_its_end(job: Job) -> None:
    def keep() -> None:
        Tenant.objects.filter(id=job.tenant_id).update(name="Kept")

    run_job(JobKind.EXTRACT, lambda held: CancelledWith(keep))
    assert ended(job).state == JobState.CANCELLED
    with tenant_scope(job.tenant_id):
        assert Tenant.objects.get().name == "Kept"
        assert audit.events(job.tenant_id)[0].action == "job.cancelled"


def test_a_body_that_has_to_wait_leaves_its_job_in_the_queue(job: Job) -> None:
    calls = []

    def body(held: Held) -> Record:
        calls.append(held.claim.epoch)
        raise JobPostponed("The disk is full; this goes on when there is room.", seconds=60)

    run_job(JobKind.EXTRACT, body)
    assert calls == [1], "it is not claimed again before its time"
    found = ended(job)
    assert (found.state, found.attempts) == (JobState.QUEUED, 0)
    assert found.message == "The disk is full; this goes on when there is room."


def test_a_claim_says_how_many_came_before_it_without_progress(job: Job) -> None:
    last = []

    def body(held: Held) -> Record:
        last.append(held.is_last_attempt)
        if not held.is_last_attempt:
            raise JobPostponed(counted=True)
        raise JobFailed("Three times are enough.")

    run_job(JobKind.EXTRACT, body)
    assert last == [False, False, True]
    assert ended(job).state == JobState.FAILED


def test_each_end_is_told_afterwards(firm: Firm) -> None:
    ends = [JobCancelled(), JobFailed("No."), JobErrored("frames"), JobPostponed(seconds=60)]
    with tenant_scope(firm.tenant.id):
        for n in range(len(ends)):
            documents.upload(member=firm.alice, name=f"{n}.txt", data=b"%d" % n)
    told = []

    def body(held: Held) -> Record:
        raise ends.pop()

    run_job(JobKind.EXTRACT, body, afterwards=lambda claim: told.append(claim.job_id))
    assert len(set(told)) == 4


def test_a_database_that_goes_away_in_the_middle_costs_an_attempt_and_no_end(job: Job) -> None:
    calls = []

    def body(held: Held) -> Record:
        calls.append(held.claim.attempts)
        if len(calls) < 3:
            end_own_connection()
            with tenant_scope(job.tenant_id):
                Job.objects.get()
        return nothing

    run_job(JobKind.EXTRACT, body)
    assert calls == [1, 2, 3]
    assert ended(job).state == JobState.SUCCEEDED


def test_a_fault_of_the_database_that_stays_is_told(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DATABASE_SECONDS", 0)
    calls = []

    def body(held: Held) -> Record:
        calls.append(1)
        raise OperationalError

    run_job(JobKind.EXTRACT, body)
    assert len(calls) == jobs.MAX_CLAIMS
    assert ended(job).state == JobState.ERRORED


def test_the_end_waits_for_a_database_that_is_away(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DATABASE_SECONDS", 0)
    finish, refused = jobs.finish, iter([OperationalError(), InterfaceError()])

    def away_twice(*args: object, **kwargs: object) -> bool:
        if error := next(refused, None):
            end_own_connection()
            raise error
        return finish(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(jobs, "finish", away_twice)
    run_job(JobKind.EXTRACT, lambda held: nothing)
    assert ended(job).state == JobState.SUCCEEDED


def test_the_heartbeat_outlives_its_connection(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.01)

    def body(held: Held) -> Record:
        assert held.beat.wait(20)
        end_other_connections()
        held.beat.clear()
        assert held.beat.wait(20), "it has a new connection"
        return nothing

    run_job(JobKind.EXTRACT, body)
    assert ended(job).state == JobState.SUCCEEDED


def end_own_connection() -> None:
    """As a restart of the database does it."""
    connection.ensure_connection()
    connection.connection.close()


def end_other_connections() -> None:
    with connection.cursor() as cursor:
        cursor.execute("RESET ROLE")
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert cursor.fetchone()[0], "the heartbeat has one"
    connection.close()  # the next one has the role again


def test_a_worker_that_is_asked_to_end_begins_no_other_job(
    firm: Firm, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopping = threading.Event()
    monkeypatch.setattr(module, "stopping", stopping)
    with tenant_scope(firm.tenant.id):
        second = documents.upload(member=firm.alice, name="b.txt", data=b"y").job

    def body(held: Held) -> Record:
        stopping.set()
        return nothing

    run_job(JobKind.EXTRACT, body)
    assert (ended(job).state, ended(second).state) == (JobState.SUCCEEDED, JobState.QUEUED)


def test_a_worker_whose_lease_was_taken_writes_nothing(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.01)

    def body(held: Held) -> Record:
        with tenant_scope(job.tenant_id):
            Job.objects.filter(id=job.id).update(epoch=7)
        assert held.lost.wait(20)
        return nothing

    run_job(JobKind.EXTRACT, body)
    assert (ended(job).state, ended(job).epoch) == (JobState.RUNNING, 7)


def test_two_workers_at_once_do_each_job_once(firm: Firm) -> None:
    with tenant_scope(firm.tenant.id):
        wanted = {
            documents.upload(member=firm.alice, name=f"{n}.txt", data=b"%d" % n).job_id for n in range(12)
        }
    done: list[uuid.UUID] = []

    def body(held: Held) -> Record:
        done.append(held.claim.job_id)
        return nothing

    def work() -> None:
        from django.db import connection

        run_job(JobKind.EXTRACT, body)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == sorted(wanted)
