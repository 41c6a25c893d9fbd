from __future__ import annotations

import pytest

from tests.conftest import Firm
from tests.extraction.files import packed
from tests.factories import end_job, ready_dataset, ready_document
from webapp.audit.models import Event
from webapp.core.errors import Conflict, Invalid, NotAllowed
from webapp.core.jobs.models import JobState
from webapp.core.tenancy import tenant_scope
from webapp.documents import selectors, services
from workers.tasks.extract_document import extract_document


def test_nothing_new_is_made_from_a_withdrawn_document_and_its_text_stays(firm: Firm) -> None:
    document = ready_document(firm, text="See 539 U. S. 306.")
    with tenant_scope(firm.tenant.id):
        services.withdraw(member=firm.alice, document=document, reason=" The client asked. ")
        assert document.state == "withdrawn"
        assert not selectors.ready(firm.tenant.id).exists()
        assert selectors.text(document) == "See 539 U. S. 306."
        event = Event.objects.of(firm.tenant.id).get(action="document.withdrawn")
        assert (event.object_id, event.data) == (str(document.id), {"reason": "The client asked."})


def test_a_document_that_was_learned_from_can_be_withdrawn(firm: Firm) -> None:
    dataset = ready_dataset(firm)
    with tenant_scope(firm.tenant.id):
        document = dataset.memberships.all()[0].document
        services.withdraw(member=firm.bob, document=document, reason="It was a draft.")
        assert selectors.document(firm.tenant.id, document.id).withdrawn_by == firm.bob


def test_a_withdrawal_can_be_taken_back(firm: Firm) -> None:
    document = ready_document(firm)
    with tenant_scope(firm.tenant.id):
        services.withdraw(member=firm.alice, document=document, reason="The wrong file.")
        services.restore(member=firm.alice, document=document)
        assert document.state == "ready"
        assert list(selectors.ready(firm.tenant.id)) == [document]
        assert Event.objects.of(firm.tenant.id).filter(action="document.restored").count() == 1
        with pytest.raises(Conflict, match="is not withdrawn"):
            services.restore(member=firm.alice, document=document)


def test_a_withdrawal_needs_a_reason(firm: Firm) -> None:
    document = ready_document(firm)
    with tenant_scope(firm.tenant.id), pytest.raises(Invalid) as refused:
        services.withdraw(member=firm.alice, document=document, reason="  ")
    assert set(refused.value.fields) == {"reason"}


def test_what_is_not_learned_from_need_not_be_withdrawn(firm: Firm) -> None:
    with tenant_scope(firm.tenant.id):
        document = services.upload(member=firm.alice, name="a.txt", data=b"x")
        end_job(document.job, JobState.FAILED, "This file holds no words.")
        with pytest.raises(Conflict, match="need not be withdrawn"):
            services.withdraw(member=firm.alice, document=document, reason="Why not.")


def test_an_auditor_withdraws_nothing(firm: Firm) -> None:
    document = ready_document(firm)
    with tenant_scope(firm.tenant.id), pytest.raises(NotAllowed):
        services.withdraw(member=firm.erin, document=document, reason="I think so.")
    with tenant_scope(firm.tenant.id), pytest.raises(NotAllowed):
        services.restore(member=firm.erin, document=document)


@pytest.mark.django_db(transaction=True)
def test_what_came_in_it_goes_with_it_and_comes_back(firm: Firm) -> None:
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        data = packed({"a.txt": b"To the Court.", "b.txt": b"The motion is granted.", "c.pdf": b""})
        archive = services.upload(member=firm.alice, name="matter.zip", data=data)
    extract_document()
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        archive = selectors.document(firm.tenant.id, archive.id)
        services.withdraw(member=firm.alice, document=archive, reason="Under seal.")
        states = {found.name: found.state for found in selectors.inside(archive)}
        assert states == {"a.txt": "withdrawn", "b.txt": "withdrawn", "c.pdf": "refused"}
        services.restore(member=firm.alice, document=archive)
        states = {found.name: found.state for found in selectors.inside(archive)}
        assert states == {"a.txt": "ready", "b.txt": "ready", "c.pdf": "refused"}
