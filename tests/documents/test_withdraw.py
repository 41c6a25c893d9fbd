from __future__ import annotations

import pytest

from tests.conftest import Firm
from tests.factories import end_job, ready_dataset, ready_document
from webapp.audit.models import Event
from webapp.core.errors import Conflict, Invalid, NotAllowed
from webapp.core.jobs import services as jobs
from webapp.core.jobs.models import JobKind, JobState
from webapp.core.tenancy import tenant_scope
from webapp.documents import selectors, services
from webapp.documents.layout import Layout
from webapp.documents.models import Document


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


def test_what_came_in_it_goes_with_it_and_comes_back(firm: Firm) -> None:
    archive = opened_archive(firm, "a.txt", "b.txt", "c.pdf")
    read(firm, "a.txt", "b.txt")
    read(firm, "c.pdf", fails=True)
    withdraw(firm, archive)
    assert states(firm) == {
        "matter.zip": "withdrawn",
        "a.txt": "withdrawn",
        "b.txt": "withdrawn",
        "c.pdf": "refused",
    }
    restore(firm, archive)
    assert states(firm) == {"matter.zip": "opened", "a.txt": "ready", "b.txt": "ready", "c.pdf": "refused"}
    with tenant_scope(firm.tenant.id):
        events = Event.objects.of(firm.tenant.id)
        for action in ("document.withdrawn", "document.restored"):
            told = {event.object_id for event in events.filter(action=action)}
            names = ("matter.zip", "a.txt", "b.txt")
            assert told == {str(found.id) for found in by_name(firm, *names)}


def test_an_attachment_goes_with_its_e_mail(firm: Firm) -> None:
    letter = ready_document(firm, by=firm.alice)
    with tenant_scope(firm.tenant.id):
        services.add_members(document=letter, files=[("contract.txt", b"The parties agree.")])
    read(firm, "contract.txt")
    withdraw(firm, letter)
    assert states(firm) == {letter.name: "withdrawn", "contract.txt": "withdrawn"}


def test_what_is_still_being_read_goes_with_it(firm: Firm) -> None:
    archive = opened_archive(firm, "a.txt")
    withdraw(firm, archive)
    assert states(firm) == {"matter.zip": "withdrawn", "a.txt": "queued"}
    read(firm, "a.txt")
    assert states(firm) == {"matter.zip": "withdrawn", "a.txt": "withdrawn"}
    restore(firm, archive)
    assert states(firm) == {"matter.zip": "opened", "a.txt": "ready"}


def test_what_is_unpacked_after_the_withdrawal_is_withdrawn_from_the_start(firm: Firm) -> None:
    archive = opened_archive(firm, "inner.zip")
    [inner] = by_name(firm, "inner.zip")  # as a worker holds it that began to read it before
    withdraw(firm, archive)
    with tenant_scope(firm.tenant.id):
        services.add_members(document=inner, files=[("a.txt", b"To the Court.")])
    read(firm, "inner.zip", text="")
    read(firm, "a.txt")
    assert set(states(firm).values()) == {"withdrawn"}
    restore(firm, archive)
    assert states(firm) == {"matter.zip": "opened", "inner.zip": "opened", "a.txt": "ready"}


def test_a_file_withdrawn_for_a_reason_of_its_own_stays_withdrawn(firm: Firm) -> None:
    archive = opened_archive(firm, "a.txt", "b.txt")
    read(firm, "a.txt", "b.txt")
    withdraw(firm, *by_name(firm, "a.txt"), reason="Privileged.")
    withdraw(firm, archive)
    [own] = by_name(firm, "a.txt")
    assert own.withdrawn_reason == "Privileged."
    restore(firm, archive)
    assert states(firm) == {"matter.zip": "opened", "a.txt": "withdrawn", "b.txt": "ready"}


def test_one_file_is_withdrawn_without_the_others(firm: Firm) -> None:
    opened_archive(firm, "a.txt", "b.txt")
    read(firm, "a.txt", "b.txt")
    withdraw(firm, *by_name(firm, "a.txt"))
    assert states(firm) == {"matter.zip": "opened", "a.txt": "withdrawn", "b.txt": "ready"}


def test_an_archive_of_which_nothing_can_be_learned_need_not_be_withdrawn(firm: Firm) -> None:
    archive = opened_archive(firm, "c.pdf")
    read(firm, "c.pdf", fails=True)
    with pytest.raises(Conflict, match="need not be withdrawn"):
        withdraw(firm, archive)
    assert states(firm) == {"matter.zip": "opened", "c.pdf": "refused"}


def test_it_is_withdrawn_once(firm: Firm) -> None:
    document = ready_document(firm, by=firm.alice)
    withdraw(firm, document)
    with pytest.raises(Conflict, match="is withdrawn already"):
        withdraw(firm, document)


def opened_archive(firm: Firm, *names: str) -> Document:
    """An archive that was opened; the files in it wait to be read."""
    with tenant_scope(firm.tenant.id):
        archive = services.upload(member=firm.alice, name="matter.zip", data=b"PK")
        read(firm, archive.name, text="")
        files = [(name, f"The text of {name}.".encode()) for name in names]
        services.add_members(document=archive, files=files)
    return archive


def read(firm: Firm, *names: str, text: str = "To the Court.", fails: bool = False) -> None:
    """Bring the reading of these to its end as a worker does; an archive has no text."""
    for document in by_name(firm, *names):
        claim = jobs.claim(JobKind.EXTRACT, worker="test")
        assert claim is not None and claim.object_id == document.id, "they are read in the order they came"
        with tenant_scope(firm.tenant.id):
            jobs.finish(claim, JobState.FAILED if fails else JobState.SUCCEEDED)
            if not fails:
                services.record_text(document=document, layout=Layout.of_text(text), pages=1, kind="txt")


def by_name(firm: Firm, *names: str) -> list[Document]:
    with tenant_scope(firm.tenant.id):
        found = {document.name: document for document in selectors.documents(firm.tenant.id)}
        return [found[name] for name in names]


def states(firm: Firm) -> dict[str, str]:
    with tenant_scope(firm.tenant.id):
        return {document.name: document.state for document in selectors.documents(firm.tenant.id)}


def withdraw(firm: Firm, document: Document, *, reason: str = "Under seal.") -> None:
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        found = selectors.document(firm.tenant.id, document.id)
        services.withdraw(member=firm.alice, document=found, reason=reason)


def restore(firm: Firm, document: Document) -> None:
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        services.restore(member=firm.alice, document=selectors.document(firm.tenant.id, document.id))
