"""Archives and e-mails through the worker's own task: every file that came in one settles by itself."""

from __future__ import annotations

import io
import zipfile
from email.message import EmailMessage

import pytest
from django.core.files.storage import default_storage

from tests.conftest import Firm
from tests.extraction import files
from webapp.audit.models import Event
from webapp.core.errors import Conflict
from webapp.core.tenancy import firm_scope, tenant_scope
from webapp.datasets import services as datasets
from webapp.documents import selectors, services
from webapp.documents.models import Document
from webapp.tenants import matters
from workers.tasks.extract_document import extract_document

# A job's heartbeat has a connection of its own: it sees only what was committed.
pytestmark = pytest.mark.django_db(transaction=True)


def packed(**members: bytes) -> bytes:
    """A ZIP archive; `brief_txt=b"…"` is the file brief.txt."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name.replace("_", "."), data)
    return out.getvalue()


def brief(n: int) -> bytes:
    return f"Brief {n}. To the Court: the motion should be granted, for the reasons that follow.".encode()


def upload(firm: Firm, name: str, data: bytes) -> Document:
    with tenant_scope(firm.tenant.id):
        return services.upload(member=firm.alice, name=name, data=data)


def by_name(firm: Firm) -> dict[str, Document]:
    with tenant_scope(firm.tenant.id):
        return {document.name: document for document in selectors.documents(firm.tenant.id)}


def test_good_and_bad_files_of_an_archive_settle_each_by_itself(firm: Firm) -> None:
    with tenant_scope(firm.tenant.id):
        matter = matters.create_matter(member=firm.alice, name="Smith v. Jones")
        archive = services.upload(
            member=firm.alice,
            name="matter.zip",
            data=packed(
                one_txt=brief(1), two_docx=files.docx(), empty_pdf=b"", broken_pdf=b"%PDF-1.4 and no more"
            ),
            matter=matter,
        )
    extract_document()
    found = by_name(firm)
    assert {name: document.state for name, document in found.items()} == {
        "matter.zip": "opened",
        "one.txt": "ready",
        "two.docx": "ready",
        "empty.pdf": "refused",
        "broken.pdf": "refused",
    }
    reasons = {found[name].reason for name in ("empty.pdf", "broken.pdf")}
    assert len(reasons) == 2 and all(reason.endswith(".") for reason in reasons)
    members = [document for document in found.values() if document.id != archive.id]
    assert {document.parent_id for document in members} == {archive.id}
    assert {document.matter_id for document in members} == {matter.id}
    with tenant_scope(firm.tenant.id):
        assert {document.name for document in selectors.ready(firm.tenant.id)} == {"one.txt", "two.docx"}
        event = Event.objects.of(firm.tenant.id).get(action="document.opened")
        assert {row["sha256"] for row in event.data["documents"]} == {row.sha256 for row in members}
        (listed,) = selectors.count_around(firm.tenant.id, [archive])
        assert listed.member_count == 4


def test_files_that_are_here_already_are_counted_and_not_added(firm: Firm) -> None:
    upload(firm, "known.txt", brief(1))
    upload(firm, "a.zip", packed(again_txt=brief(1), new_txt=brief(2), twice_txt=brief(2)))
    extract_document()
    found = by_name(firm)
    assert set(found) == {"known.txt", "a.zip", "new.txt"}
    assert found["a.zip"].already_here == 2


def test_an_archive_in_an_archive_is_opened_and_one_inside_that_is_not(firm: Firm) -> None:
    inmost = packed(deep_txt=brief(3))
    inner = packed(two_txt=brief(2), inmost_zip=inmost)
    upload(firm, "outer.zip", packed(one_txt=brief(1), inner_zip=inner))
    extract_document()
    found = by_name(firm)
    assert {name: document.state for name, document in found.items()} == {
        "outer.zip": "opened",
        "one.txt": "ready",
        "inner.zip": "opened",
        "two.txt": "ready",
        "inmost.zip": "refused",
    }
    assert "archive" in found["inmost.zip"].reason


def test_an_email_is_read_and_its_attachments_are_documents(firm: Firm) -> None:
    message = EmailMessage()
    message["Subject"], message["From"] = "The draft", "alice@ashworth.example"
    message.set_content("Please find the draft attached. We think that the motion should be granted.")
    message.add_attachment(brief(1), maintype="text", subtype="plain", filename="draft.txt")
    upload(firm, "mail.eml", message.as_bytes())
    extract_document()
    found = by_name(firm)
    assert {name: document.state for name, document in found.items()} == {
        "mail.eml": "ready",
        "draft.txt": "ready",
    }
    assert found["draft.txt"].parent_id == found["mail.eml"].id


def test_an_archive_goes_with_what_came_in_it(firm: Firm) -> None:
    upload(firm, "outer.zip", packed(one_txt=brief(1), inner_zip=packed(two_txt=brief(2))))
    extract_document()
    found = by_name(firm)
    stored = [document.stored_name for document in found.values()]
    with tenant_scope(firm.tenant.id):
        services.delete(member=firm.alice, document=found["outer.zip"])
        assert not selectors.documents(firm.tenant.id).exists()
        assert Event.objects.of(firm.tenant.id).filter(action="document.deleted").count() == 4
    assert not any(default_storage.exists(name) for name in stored)


def test_a_file_of_an_archive_goes_alone(firm: Firm) -> None:
    upload(firm, "a.zip", packed(one_txt=brief(1), two_txt=brief(2)))
    extract_document()
    with tenant_scope(firm.tenant.id):
        services.delete(member=firm.alice, document=by_name(firm)["one.txt"])
    assert set(by_name(firm)) == {"a.zip", "two.txt"}


def test_an_archive_stays_while_a_dataset_needs_a_file_of_it(firm: Firm) -> None:
    upload(firm, "a.zip", packed(one_txt=brief(1), two_txt=brief(2)))
    extract_document()
    found = by_name(firm)
    with tenant_scope(firm.tenant.id):
        datasets.create(
            member=firm.alice, name="Briefs", document_ids=[found["one.txt"].id, found["two.txt"].id]
        )
    with tenant_scope(firm.tenant.id), pytest.raises(Conflict, match="part of a dataset"):
        services.delete(member=firm.alice, document=found["a.zip"])
    assert set(by_name(firm)) == {"a.zip", "one.txt", "two.txt"}


def test_a_file_that_was_moved_behind_a_screen_stays_when_its_archive_goes(firm: Firm) -> None:
    upload(firm, "a.zip", packed(one_txt=brief(1), two_txt=brief(2)))
    extract_document()
    with firm_scope(firm.tenant.id):
        matter = matters.create_matter(member=firm.dora, name="Smith v. Jones")
        services.move(member=firm.dora, documents=[by_name(firm)["two.txt"]], matter=matter)
        matters.screen(member=firm.dora, matter=matter, person=firm.alice, reason="Acted for Jones.")
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        archive = selectors.documents(firm.tenant.id).get(name="a.zip")
        services.delete(member=firm.alice, document=archive)
    with firm_scope(firm.tenant.id):
        (left,) = selectors.documents(firm.tenant.id)
        assert (left.name, left.parent_id) == ("two.txt", None)


def test_near_duplicates_are_found_as_they_are_read(firm: Firm) -> None:
    text = " ".join(f"word{n}" for n in range(300))
    upload(firm, "draft.txt", text.encode())
    upload(firm, "final.txt", f"{text} signed".encode())
    upload(firm, "other.txt", brief(1))
    extract_document()
    found = by_name(firm)
    assert found["draft.txt"].near_duplicates == found["final.txt"].near_duplicates is not None
    assert found["other.txt"].near_duplicates is None


def test_an_archive_of_archives_does_not_fill_the_queue(firm: Firm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webapp.documents.services.members.MOST_FILES", 5)
    two = {f"{n}_txt": brief(n) for n in range(2)}
    outer = packed(
        inner_zip=packed(**{f"{n}_txt": brief(n) for n in range(10, 14)}), note_txt=brief(99), **two
    )
    upload(firm, "outer.zip", outer)
    extract_document()
    found = by_name(firm)
    assert found["inner.zip"].state == "refused", "it would bring the fifth, sixth and seventh"
    assert "split the archive" in found["inner.zip"].reason
    assert sorted(found) == ["0.txt", "1.txt", "inner.zip", "note.txt", "outer.zip"]


def test_an_archive_that_is_moved_while_it_is_read_puts_its_files_where_it_is(firm: Firm) -> None:
    archive = upload(firm, "matter.zip", packed(one_txt=brief(1)))
    with firm_scope(firm.tenant.id):
        being_read = selectors.document(firm.tenant.id, archive.id)
        matter = matters.create_matter(member=firm.alice, name="Smith v. Jones")
        moved = selectors.document(firm.tenant.id, archive.id)
        services.move(member=firm.alice, documents=[moved], matter=matter)
        services.add_members(document=being_read, files=[("one.txt", brief(1))])
        assert [found.matter_id for found in selectors.inside(moved)] == [matter.id]
