from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from tests.api.conftest import Call, refusal
from tests.conftest import Firm
from tests.factories import end_job, ready_dataset, ready_document
from webapp.core.jobs.models import JobState
from webapp.core.tenancy import tenant_scope
from webapp.datasets import selectors as dataset_selectors
from webapp.documents import selectors
from webapp.documents.models import Document

pytestmark = pytest.mark.django_db


def file(name: str, data: bytes) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, data)


def test_several_files_arrive_at_once_and_wait_to_be_read(call: Call, firm: Firm) -> None:
    answer = call(firm.alice, "UPLOAD", "documents/", [file("a.txt", b"One."), file("b.txt", b"Two.")])
    assert answer.status_code == 201
    results = answer.json()["results"]
    assert [(row["name"], row["state"], row["reason"]) for row in results] == [
        ("a.txt", "queued", ""),
        ("b.txt", "queued", ""),
    ]
    one = call(firm.alice, "GET", f"documents/{results[0]['id']}/").json()
    assert one["size"] == 4
    assert one["uploaded_by"] == firm.alice.user.email


def test_a_file_that_is_too_large_costs_itself_alone(call: Call, firm: Firm, settings: Any) -> None:
    settings.MAX_UPLOAD_BYTES = 2**20
    large, small = file("large.txt", b"x" * (2**20 + 1)), file("small.txt", b"x")
    answer = call(firm.alice, "UPLOAD", "documents/", [large, small])
    assert answer.status_code == 201
    refused, kept = answer.json()["results"]
    assert refused["id"] is None
    assert refused["state"] == "refused"
    assert "larger than 1 MB" in refused["reason"]
    assert kept["state"] == "queued"
    with tenant_scope(firm.tenant.id):
        assert Document.objects.count() == 1


def test_when_every_file_is_refused_so_is_the_request(call: Call, firm: Firm, settings: Any) -> None:
    settings.MAX_UPLOAD_BYTES = 10
    answer = call(firm.alice, "UPLOAD", "documents/", [file("large.txt", b"x" * 11)])
    refusal(answer, 400, "too_large")
    assert answer.json()["results"][0]["name"] == "large.txt"


def test_a_request_without_a_file_is_refused(call: Call, firm: Firm) -> None:
    assert "file" in refusal(call(firm.alice, "UPLOAD", "documents/", []), 400, "invalid")["fields"]


def test_a_refused_document_says_why(call: Call, firm: Firm) -> None:
    (row,) = call(firm.alice, "UPLOAD", "documents/", [file("a.txt", b"")]).json()["results"]
    with tenant_scope(firm.tenant.id):
        document = selectors.document(firm.tenant.id, row["id"])
        end_job(document.job, JobState.FAILED, "This file is empty; upload the document itself.")
    found = call(firm.alice, "GET", f"documents/{row['id']}/").json()
    assert found["state"] == "refused"
    assert found["reason"] == "This file is empty; upload the document itself."


def test_the_text_of_a_document_can_be_read(call: Call, firm: Firm) -> None:
    document = ready_document(firm, text="See 539 U. S. 306.\n\nAffirmed.")
    assert call(firm.alice, "GET", f"documents/{document.id}/text/").json() == {
        "text": "See 539 U. S. 306.\n\nAffirmed."
    }


def test_a_document_can_be_deleted_while_no_dataset_holds_it(call: Call, firm: Firm) -> None:
    document = ready_document(firm)
    assert call(firm.alice, "DELETE", f"documents/{document.id}/").status_code == 204
    refusal(call(firm.alice, "GET", f"documents/{document.id}/"), 404, "not_found")
    with tenant_scope(firm.tenant.id):
        held = dataset_selectors.parts(ready_dataset(firm))[0].document
    refusal(call(firm.alice, "DELETE", f"documents/{held.id}/"), 409, "conflict")
    assert call(firm.alice, "GET", f"documents/{held.id}/").json()["state"] == "ready"
