from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from tests.api.conftest import Call, refusal
from tests.conftest import Firm
from tests.documents.test_columns import table_document
from tests.documents.test_move import new_matter
from tests.factories import approved, end_job, queued_run, ready_dataset, ready_document
from webapp.core.jobs.models import JobState
from webapp.core.tenancy import tenant_scope
from webapp.datasets import selectors as dataset_selectors
from webapp.documents import selectors, services
from webapp.documents.layout import Block, BlockKind, Layout
from webapp.documents.models import Document
from webapp.serving import services as serving
from webapp.tenants import selectors as tenants

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


def test_the_same_bytes_again_name_the_document_that_has_them(call: Call, firm: Firm) -> None:
    (first,) = call(firm.alice, "UPLOAD", "documents/", [file("a.txt", b"One.")]).json()["results"]
    answer = call(firm.alice, "UPLOAD", "documents/", [file("b.txt", b"One."), file("c.txt", b"Two.")])
    assert answer.status_code == 201
    again, new = answer.json()["results"]
    assert (again["id"], again["state"]) == (first["id"], "duplicate")
    assert "the same file as “a.txt”" in again["reason"]
    assert new["state"] == "queued"
    answer = call(firm.alice, "UPLOAD", "documents/", [file("b.txt", b"One.")])
    refusal(answer, 409, "duplicate")
    assert answer.json()["results"][0]["id"] == first["id"]


def test_a_file_is_added_to_a_matter_and_moved(call: Call, firm: Firm, other_firm: Firm) -> None:
    matter, theirs = new_matter(firm), new_matter(other_firm)
    found = uploaded_to(call, firm, matter=str(matter.id))
    assert found["matter"]["name"] == "Smith v. Jones"
    with tenant_scope(firm.tenant.id):
        general = str(tenants.general_matter(firm.tenant.id).id)
    moved = call(firm.alice, "POST", f"documents/{found['id']}/move/", {"matter": general})
    assert moved.json()["matter"]["id"] == general
    elsewhere = {"matter": str(theirs.id)}
    refusal(call(firm.alice, "POST", f"documents/{found['id']}/move/", elsewhere), 404, "not_found")


@pytest.mark.parametrize(("matter", "status"), [("nonsense", 400), (str(uuid.UUID(int=1)), 404)])
def test_a_matter_that_is_not_there_is_told(call: Call, firm: Firm, matter: str, status: int) -> None:
    assert upload_to(firm, matter).status_code == status


def test_the_layout_of_a_document_can_be_read(call: Call, firm: Firm) -> None:
    document = ready_document(firm)
    with tenant_scope(firm.tenant.id):
        layout = Layout((Block(BlockKind.HEADING, "I. Facts", page=2, level=1),))
        services.record_text(document=document, layout=layout, pages=2, kind="pdf")
    assert call(firm.alice, "GET", f"documents/{document.id}/layout/").json() == {
        "blocks": [{"kind": "heading", "text": "I. Facts", "page": 2, "level": 1}]
    }


def test_a_document_is_withdrawn_and_restored(call: Call, firm: Firm) -> None:
    document = ready_document(firm)
    path = f"documents/{document.id}"
    assert call(firm.alice, "GET", f"{path}/").json()["withdrawn"] is None
    refusal(call(firm.alice, "POST", f"{path}/withdraw/", {"reason": ""}), 400, "invalid")
    found = call(firm.alice, "POST", f"{path}/withdraw/", {"reason": "The client asked."}).json()
    assert (found["state"], found["withdrawn"]) == ("withdrawn", "The client asked.")
    refusal(call(firm.alice, "POST", f"{path}/withdraw/", {"reason": "Again."}), 409, "conflict")
    assert call(firm.alice, "POST", f"{path}/restore/", {}).json()["state"] == "ready"


def test_what_learned_from_a_document_is_told(call: Call, firm: Firm, other_firm: Firm) -> None:
    version = approved(firm, by=firm.alice, approver=firm.bob)
    dataset = version.run.dataset
    with tenant_scope(firm.tenant.id, viewer=firm.bob.id):
        serving.put_live(member=firm.bob, version=version)
        document = dataset.memberships.get(split="train").document
    path = f"documents/{document.id}/learned/"
    found = call(firm.bob, "GET", path).json()
    assert found["live"] == [str(version.id)]
    [family] = found["datasets"]
    assert (family["to_remake"], family["without"]) == (None, None)
    [held] = family["versions"]
    assert (held["id"], held["state"], held["examples"]) == (str(dataset.id), "ready", 1)
    assert (held["trained"], held["withdrawn"]) == (True, False)
    [run] = held["runs"]
    assert (run["id"], run["state"]) == (str(version.run_id), "succeeded")
    assert (run["version"], run["version_name"]) == (str(version.id), str(version))
    assert run["version_state"] == "approved"
    assert [row["live_until"] for row in run["times_live"]] == [None]
    call(firm.alice, "POST", f"documents/{document.id}/withdraw/", {"reason": "The client asked."})
    assert call(firm.alice, "GET", path).json()["datasets"][0]["to_remake"] == str(dataset.id)
    refusal(call(other_firm.carol, "GET", path), 404, "not_found")
    nothing = call(firm.alice, "GET", f"documents/{ready_document(firm).id}/learned/").json()
    assert nothing == {"live": [], "datasets": []}


def test_a_run_of_which_nothing_came_has_no_version(call: Call, firm: Firm) -> None:
    run = queued_run(firm)
    with tenant_scope(firm.tenant.id):
        document = run.dataset.memberships.get(split="train").document
    [family] = call(firm.bob, "GET", f"documents/{document.id}/learned/").json()["datasets"]
    [row] = family["versions"][0]["runs"]
    assert (row["state"], row["version"], row["version_name"], row["version_state"]) == (
        "queued",
        None,
        None,
        None,
    )
    assert row["times_live"] == []


def test_the_columns_of_a_table_are_chosen(call: Call, firm: Firm) -> None:
    path = f"documents/{table_document(firm).id}"
    assert call(firm.alice, "GET", f"{path}/").json()["state"] == "columns"
    wrong = {"prompt": "Price", "completion": "Our answer"}
    assert "prompt" in refusal(call(firm.alice, "POST", f"{path}/columns/", wrong), 400, "invalid")["fields"]
    found = call(
        firm.alice, "POST", f"{path}/columns/", {"prompt": "Facts", "completion": "Our answer"}
    ).json()
    assert (found["state"], found["pairs"]) == ("ready", 1)


@pytest.mark.parametrize("verb", ["withdraw", "restore", "move", "columns"])
def test_an_auditor_changes_nothing(signed_in: Callable[..., Client], firm: Firm, verb: str) -> None:
    document = ready_document(firm)
    with tenant_scope(firm.tenant.id):
        matter = str(tenants.general_matter(firm.tenant.id).id)
    body = {"reason": "Because.", "matter": matter, "prompt": "a", "completion": "b"}
    path = f"/api/v1/documents/{document.id}/{verb}/"
    answer = signed_in(firm.erin).post(path, body, content_type="application/json")
    refusal(answer, 403, "not_allowed")


def upload_to(firm: Firm, matter: str) -> Any:
    sent = {"file": file("a.txt", b"One."), "matter": matter}
    headers = {"Authorization": f"Bearer {firm.key(firm.alice)}"}
    return Client().post("/api/v1/documents/", sent, headers=headers)


def uploaded_to(call: Call, firm: Firm, *, matter: str) -> Any:
    (row,) = upload_to(firm, matter).json()["results"]
    return call(firm.alice, "GET", f"documents/{row['id']}/").json()
