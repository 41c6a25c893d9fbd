from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from tests.conftest import Firm
from tests.factories import end_job, ready_dataset, ready_document
from webapp.core.jobs.models import JobState
from webapp.core.tenancy import tenant_scope
from webapp.datasets import selectors as datasets
from webapp.documents import selectors, services

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


def test_the_text_of_a_document_can_be_read(firm: Firm, signed_in: SignIn) -> None:
    document = ready_document(firm, text="First paragraph.\n\nSecond <paragraph>.")
    page = signed_in(firm.erin).get(f"/documents/{document.id}/").content.decode()
    assert "First paragraph." in page
    assert "Second &lt;paragraph&gt;." in page


def test_a_document_is_deleted_and_a_dataset_keeps_its_own(firm: Firm, signed_in: SignIn) -> None:
    loose = ready_document(firm)
    dataset = ready_dataset(firm)
    client = signed_in(firm.alice)
    answer = client.post(f"/documents/{loose.id}/delete/", follow=True)
    assert f"“{loose.name}” is deleted" in answer.content.decode()
    with tenant_scope(firm.tenant.id):
        kept = datasets.parts(dataset)[0].document
    answer = client.post(f"/documents/{kept.id}/delete/", follow=True)
    assert "is part of a dataset" in answer.content.decode()
    with tenant_scope(firm.tenant.id):
        assert set(selectors.documents(firm.tenant.id).values_list("id", flat=True)) >= {kept.id}


def test_an_auditor_reads_and_cannot_add(firm: Firm, signed_in: SignIn) -> None:
    client = signed_in(firm.erin)
    assert "Drop files" not in client.get("/documents/").content.decode()
    answer = client.post("/documents/upload/", {"file": upload("brief.txt")})
    assert answer.status_code == 403
    assert "Your role does not let you add documents" in answer.content.decode()
