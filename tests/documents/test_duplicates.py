from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from django.db import connection, connections

from tests.conftest import Firm
from tests.factories import end_job, ready_document
from tests.tenancy.matters import into_matter, screen_off
from webapp.core.jobs.models import JobState
from webapp.core.tenancy import tenant_scope
from webapp.documents import selectors, services
from webapp.documents.models import Document
from webapp.tenants.models import Membership


def upload(member: Membership, name: str, data: bytes = b"To the Court") -> Document:
    with tenant_scope(member.tenant_id, viewer=member.id):
        return services.upload(member=member, name=name, data=data)


def test_the_same_bytes_are_not_kept_twice(firm: Firm) -> None:
    first = upload(firm.alice, "brief.txt")
    with pytest.raises(services.Duplicate) as told:
        upload(firm.bob, "copy of brief.txt")
    assert told.value.message == (
        "“copy of brief.txt” is the same file as “brief.txt”, which is already here."
    )
    assert told.value.document == first
    with tenant_scope(firm.tenant.id):
        assert selectors.documents(firm.tenant.id).count() == 1


def test_the_same_file_under_its_own_name_is_told_in_fewer_words(firm: Firm) -> None:
    upload(firm.alice, "brief.txt")
    with pytest.raises(services.Duplicate, match="is already here; the same file is not added twice"):
        upload(firm.alice, "brief.txt")


def test_another_firm_may_have_the_same_file(firm: Firm, other_firm: Firm) -> None:
    upload(firm.alice, "brief.txt")
    assert upload(other_firm.carol, "brief.txt").state == "queued"


def test_a_file_that_was_refused_may_be_tried_again(firm: Firm) -> None:
    refused = upload(firm.alice, "brief.txt")
    with tenant_scope(firm.tenant.id):
        end_job(refused.job, JobState.FAILED, "This file is damaged.")
    assert upload(firm.alice, "brief.txt") != refused


def test_a_withdrawn_document_does_not_come_back_by_being_uploaded(firm: Firm) -> None:
    with tenant_scope(firm.tenant.id):
        document = ready_document(firm)
        services.withdraw(member=firm.alice, document=document, reason="The client asked.")
        data = selectors.original(document)
    with pytest.raises(services.Duplicate, match="which was withdrawn"):
        upload(firm.bob, "again.txt", data)


def test_nobody_learns_of_a_file_that_they_are_screened_off(firm: Firm) -> None:
    upload(firm.bob, "secret.txt")
    into_matter(firm)
    screen_off(firm, firm.alice)
    assert upload(firm.alice, "mine.txt").state == "queued"
    with pytest.raises(services.Duplicate, match=r"secret\.txt"):
        upload(firm.bob, "again.txt")


@pytest.mark.django_db(transaction=True)
def test_of_two_uploads_at_the_same_moment_one_is_kept(firm: Firm) -> None:
    both = threading.Barrier(2)
    told: list[str] = []

    def send(name: str) -> Callable[[], None]:
        def run() -> None:
            both.wait(20)
            try:
                upload(firm.alice, name)
            except services.Duplicate as same:
                told.append(same.message)
            finally:
                connections.close_all()

        return run

    for _ in range(5):
        threads = [threading.Thread(target=send(name)) for name in ("a.txt", "b.txt")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        with tenant_scope(firm.tenant.id):
            (kept,) = selectors.documents(firm.tenant.id)
            assert len(told) == 1 and f"the same file as “{kept.name}”" in told.pop()
            end_job(kept.job)
            services.delete(member=firm.alice, document=kept)
    assert connection.in_atomic_block is False
