from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.conftest import Firm
from tests.documents.test_move import new_matter
from tests.factories import end_job, ready_document
from webapp.core.jobs.models import Job, JobKind, JobState
from webapp.core.tenancy import tenant_scope
from webapp.documents import selectors, services
from webapp.documents.layout import Layout
from webapp.documents.models import Document
from webapp.findings import services as findings
from webapp.tenants import selectors as tenants

SignIn = Callable[..., Client]
JSON = {"Accept": "application/json"}


def upload(name: str, data: bytes = b"Some text.") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, data)


def test_a_file_is_kept_and_listed_while_it_waits(firm: Firm, signed_in: SignIn) -> None:
    client = signed_in(firm.alice)
    answer = client.post("/documents/upload/", {"file": upload("brief.txt")}, headers=JSON)
    assert answer.status_code == 201
    (result,) = answer.json()["results"]
    assert (result["name"], result["state"], result["reason"]) == ("brief.txt", "queued", "")
    assert "brief.txt" in client.get(result["url"]).content.decode()
    listed = client.get("/documents/").content.decode()
    assert "brief.txt" in listed
    assert "every 1s" in listed


def test_a_bad_file_costs_itself_alone(firm: Firm, signed_in: SignIn) -> None:
    settings_before = settings.MAX_UPLOAD_BYTES
    settings.MAX_UPLOAD_BYTES = 2**20
    try:
        files = [upload("large.txt", b"x" * (2**20 + 1)), upload("small.txt")]
        answer = signed_in(firm.alice).post("/documents/upload/", {"file": files}, headers=JSON)
    finally:
        settings.MAX_UPLOAD_BYTES = settings_before
    large, small = answer.json()["results"]
    assert large["reason"] == "“large.txt” is larger than 1 MB; split it into smaller files."
    assert small["reason"] == ""


def test_the_list_stops_asking_once_everything_is_settled(firm: Firm, signed_in: SignIn) -> None:
    ready_document(firm)
    listed = signed_in(firm.alice).get("/documents/", headers={"HX-Request": "true"}).content.decode()
    assert "every 1s" not in listed
    assert "<html" not in listed


def test_a_refused_file_says_why_in_words(firm: Firm, signed_in: SignIn) -> None:
    with tenant_scope(firm.tenant.id):
        document = services.upload(member=firm.alice, name="scan.pdf", data=b"%PDF")
        end_job(document.job, JobState.FAILED, "This PDF holds no text; run text recognition first.")
    listed = signed_in(firm.alice).get("/documents/").content.decode()
    assert "Refused" in listed
    assert "This PDF holds no text; run text recognition first." in listed


def test_a_file_name_is_never_markup(firm: Firm, signed_in: SignIn) -> None:
    with tenant_scope(firm.tenant.id):
        services.upload(member=firm.alice, name="<img src=x onerror=alert(1)>.txt", data=b"text")
    listed = signed_in(firm.alice).get("/documents/").content.decode()
    assert "<img src=x" not in listed


def test_an_auditor_reads_and_cannot_add(firm: Firm, signed_in: SignIn) -> None:
    client = signed_in(firm.erin)
    assert "Drop files" not in client.get("/documents/").content.decode()
    answer = client.post("/documents/upload/", {"file": upload("brief.txt")})
    assert answer.status_code == 403
    assert "Your role does not let you add documents" in answer.content.decode()


def test_the_same_file_again_is_told_and_not_kept(firm: Firm, signed_in: SignIn) -> None:
    client = signed_in(firm.alice)
    client.post("/documents/upload/", {"file": upload("brief.txt")})
    answer = client.post("/documents/upload/", {"file": upload("again.txt")}, headers=JSON)
    (result,) = answer.json()["results"]
    assert result["state"] == "duplicate"
    assert result["reason"] == "“again.txt” is the same file as “brief.txt”, which is already here."
    assert "brief.txt" in client.get(result["url"]).content.decode()
    page = client.post("/documents/upload/", {"file": upload("again.txt")}, follow=True).content.decode()
    assert "“again.txt” is the same file as “brief.txt”, which is already here." in page


def test_files_are_added_to_the_chosen_matter_which_is_remembered(firm: Firm, signed_in: SignIn) -> None:
    client, matter = signed_in(firm.alice), new_matter(firm)
    client.post("/documents/upload/", {"file": upload("brief.txt"), "matter": matter.id})
    page = client.get("/documents/").content.decode()
    assert f'<option value="{matter.id}" selected>' in page
    with tenant_scope(firm.tenant.id):
        assert selectors.documents(firm.tenant.id).get().matter == matter


def test_nothing_is_added_to_another_firms_matter(firm: Firm, other_firm: Firm, signed_in: SignIn) -> None:
    theirs = new_matter(other_firm)
    sent = {"file": upload("brief.txt"), "matter": theirs.id}
    assert signed_in(firm.alice).post("/documents/upload/", sent).status_code == 404
    with tenant_scope(firm.tenant.id):
        assert not selectors.documents(firm.tenant.id).exists()


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", {"brief.txt", "letter.txt", "scan.pdf"}),
        ("q=BRIEF", {"brief.txt"}),
        ("state=refused", {"scan.pdf"}),
        ("state=ready", {"letter.txt"}),
        ("kind=txt", {"letter.txt"}),
        ("state=ready&q=scan", set()),
        ("state=nonsense&kind=nonsense&matter=nonsense", {"brief.txt", "letter.txt", "scan.pdf"}),
    ],
)
def test_the_list_shows_what_is_looked_for(
    firm: Firm, signed_in: SignIn, query: str, shown: set[str]
) -> None:
    with tenant_scope(firm.tenant.id):
        for name, end in (("scan.pdf", JobState.FAILED), ("letter.txt", JobState.SUCCEEDED)):
            document = services.upload(member=firm.alice, name=name, data=name.encode())
            layout = Layout.of_text("Dear Sir")
            record = partial(
                services.record_text, document=document, layout=layout, pages=1, kind=name.split(".")[1]
            )
            end_job(document.job, end, "It is a scan.", record if end == JobState.SUCCEEDED else nothing)
        services.upload(member=firm.alice, name="brief.txt", data=b"brief")
    page = signed_in(firm.erin).get(f"/documents/?{query}").content.decode()
    assert {name for name in ("brief.txt", "letter.txt", "scan.pdf") if name in page} == shown
    assert ("No document is like that." in page) == (not shown)


def test_the_list_shows_one_matter(firm: Firm, signed_in: SignIn) -> None:
    matter = new_matter(firm)
    inside, outside = ready_document(firm), ready_document(firm)
    with tenant_scope(firm.tenant.id):
        services.move(member=firm.alice, documents=[inside], matter=matter)
    page = signed_in(firm.alice).get(f"/documents/?matter={matter.id}").content.decode()
    assert inside.name in page
    assert outside.name not in page


def test_the_list_costs_the_same_for_three_documents_and_for_ten_thousand(
    firm: Firm, signed_in: SignIn, django_assert_num_queries: Any
) -> None:
    many(firm, 3)
    client = signed_in(firm.alice)
    with CaptureQueriesContext(connection) as few:
        client.get("/documents/")
    many(firm, 10_000)
    with django_assert_num_queries(len(few)):
        page = client.get("/documents/?page=3").content.decode()
    assert "10,003 ready" in page
    assert "Page 3 of 201" in page
    assert page.count("<tr>") == 1 + 50
    assert len(few) < 25


def test_the_links_to_other_pages_keep_what_is_looked_for(firm: Firm, signed_in: SignIn) -> None:
    ready_document(firm)
    many(firm, 60)
    page = signed_in(firm.alice).get("/documents/?q=many&state=&page=1").content.decode()
    assert 'href="?q=many&amp;page=2"' in page
    assert "60 found" in page


def test_chosen_documents_are_moved_together(firm: Firm, signed_in: SignIn) -> None:
    matter = new_matter(firm)
    documents = [ready_document(firm) for _ in range(3)]
    sent = {"do": "move", "matter": matter.id, "document": [documents[0].id, documents[1].id, "nonsense"]}
    page = signed_in(firm.alice).post("/documents/chosen/", sent, follow=True).content.decode()
    assert "2 documents are now in “Smith v. Jones”." in page
    with tenant_scope(firm.tenant.id):
        assert selectors.listed(firm.tenant.id, matter_id=matter.id).count() == 2


def test_chosen_documents_are_taken_to_a_new_dataset(firm: Firm, signed_in: SignIn) -> None:
    document = ready_document(firm)
    client = signed_in(firm.alice)
    answer = client.post("/documents/chosen/", {"do": "dataset", "document": document.id})
    assert answer["Location"] == f"/datasets/new/?document={document.id}"
    assert client.post("/documents/chosen/", {"do": "dataset"})["Location"] == "/datasets/new/"


def nothing() -> None:
    pass


def many(firm: Firm, count: int) -> None:
    """Rows as `upload` and the worker leave them, without their files."""
    with tenant_scope(firm.tenant.id):
        general = tenants.general_matter(firm.tenant.id)
        state = {"state": JobState.SUCCEEDED, "ended_at": timezone.now(), "kind": JobKind.EXTRACT}
        found = Job.objects.bulk_create(
            Job(tenant=firm.tenant, object_id=uuid.uuid4(), **state) for _ in range(count)
        )
        Document.objects.bulk_create(
            Document(
                id=job.object_id,
                tenant=firm.tenant,
                name=f"many-{number}.txt",
                size=1,
                sha256=f"{number:064x}",
                stored_name="none",
                text_name="none",
                kind="txt",
                pages=1,
                words=100,
                matter=general,
                uploaded_by=firm.alice,
                job=job,
                near_duplicates=uuid.UUID(int=number // 2),
            )
            for number, job in enumerate(found)
        )


def test_what_waits_for_a_decision_is_told_in_the_list(firm: Firm, signed_in: SignIn) -> None:
    document = ready_document(firm, text="Write to jane@example.com or john@example.com.")
    with tenant_scope(firm.tenant.id):
        findings.scan(
            document=document, layout=Layout.of_text("Write to jane@example.com or john@example.com.")
        )
    page = signed_in(firm.alice).get("/documents/").content.decode()
    assert f'<a href="/documents/{document.id}/findings/">2 findings</a> to decide on' in page
