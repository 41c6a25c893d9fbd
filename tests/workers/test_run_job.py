"""How a job ends, whatever its body does."""

from __future__ import annotations

import threading
import uuid

import pytest

from tests.conftest import Firm
from webapp.audit import selectors as audit
from webapp.core.jobs import services as jobs
from webapp.core.jobs.models import Job, JobKind, JobState
from webapp.core.tenancy import tenant_scope
from webapp.documents import services as documents
from webapp.tenants.models import Tenant
from workers.tasks import run_job as module
from workers.tasks.run_job import Held, JobFailed, Record, run_job

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
