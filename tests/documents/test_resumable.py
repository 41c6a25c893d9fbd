"""Files that arrive in parts: tus 1.0 as a browser speaks it, with breaks, repeats and other people."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.test import Client
from django.utils import timezone

from tests.conftest import Firm
from webapp.core.tenancy import tenant_scope
from webapp.documents import selectors, uploads
from webapp.documents.models import Document, Upload, UploadPart
from webapp.tenants import matters
from webapp.tenants.models import Membership

SignIn = Callable[[Membership], Client]
TUS = {"Tus-Resumable": "1.0.0"}
TEXT = b"The motion is granted. " * 200


def begin(client: Client, *, size: int = len(TEXT), name: str = "brief.txt", matter: str = "") -> Any:
    named = ",".join(
        f"{key} {base64.b64encode(value.encode()).decode()}"
        for key, value in (("filename", name), ("matter", matter))
        if value
    )
    return client.post(
        "/documents/uploads/", headers={**TUS, "Upload-Length": str(size), "Upload-Metadata": named}
    )


def send(client: Client, path: str, offset: int, data: bytes) -> Any:
    return client.patch(
        path, data, "application/offset+octet-stream", headers={**TUS, "Upload-Offset": str(offset)}
    )


def documents(firm: Firm) -> list[Document]:
    with tenant_scope(firm.tenant.id):
        return list(selectors.documents(firm.tenant.id))


def test_a_file_in_three_parts_is_one_document(firm: Firm, signed_in: SignIn) -> None:
    client = signed_in(firm.alice)
    begun = begin(client)
    assert (begun.status_code, begun["Tus-Resumable"]) == (201, "1.0.0")
    path = begun["Location"]
    for start, end in ((0, 1000), (1000, 3000), (3000, len(TEXT))):
        answer = send(client, path, start, TEXT[start:end])
        assert (answer.status_code, answer["Upload-Offset"]) == (204, str(end))
    assert json.loads(answer["Housestyle-Result"])["state"] == "queued"
    [document] = documents(firm)
    assert document.name == "brief.txt"
    with tenant_scope(firm.tenant.id):
        assert selectors.original(document) == TEXT
        assert not UploadPart.objects.exists()


def test_after_a_break_the_server_says_where_to_go_on(firm: Firm, signed_in: SignIn) -> None:
    client = signed_in(firm.alice)
    path = begin(client)["Location"]
    send(client, path, 0, TEXT[:1000])
    asked = client.head(path, headers=TUS)
    assert (asked.status_code, asked["Upload-Offset"], asked["Upload-Length"]) == (
        200,
        "1000",
        str(len(TEXT)),
    )
    assert asked["Cache-Control"] == "no-store"
    assert send(client, path, 900, TEXT[900:]).status_code == 409, "a part that overlaps is refused"
    assert send(client, path, 1000, TEXT[1000:]).status_code == 204
    assert len(documents(firm)) == 1


def test_who_missed_the_last_answer_can_ask_for_it(firm: Firm, signed_in: SignIn) -> None:
    client = signed_in(firm.alice)
    path = begin(client)["Location"]
    said = send(client, path, 0, TEXT)["Housestyle-Result"]
    again = client.head(path, headers=TUS)
    assert again["Upload-Offset"] == str(len(TEXT))
    assert again["Housestyle-Result"] == said
    assert send(client, path, len(TEXT), b"x").status_code == 400
    assert len(documents(firm)) == 1, "it is not kept twice"


def test_the_same_bytes_again_are_told_in_the_result(firm: Firm, signed_in: SignIn) -> None:
    client = signed_in(firm.alice)
    send(client, begin(client)["Location"], 0, TEXT)
    answer = send(client, begin(client, name="copy.txt")["Location"], 0, TEXT)
    result = json.loads(answer["Housestyle-Result"])
    assert result["state"] == "duplicate"
    assert "brief.txt" in result["reason"]
    assert len(documents(firm)) == 1


def test_an_empty_file_is_whole_at_once(firm: Firm, signed_in: SignIn) -> None:
    begun = begin(signed_in(firm.alice), size=0, name="empty.pdf")
    assert json.loads(begun["Housestyle-Result"])["name"] == "empty.pdf"
    assert len(documents(firm)) == 1


def test_names_in_any_script_arrive_whole(firm: Firm, signed_in: SignIn) -> None:
    client = signed_in(firm.alice)
    answer = send(client, begin(client, size=1, name="Straße, 契約.txt")["Location"], 0, b"x")
    assert json.loads(answer["Housestyle-Result"])["name"] == "Straße, 契約.txt"


def test_a_file_goes_into_the_matter_that_was_named(firm: Firm, signed_in: SignIn) -> None:
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        matter = matters.create_matter(member=firm.alice, name="Acme v. Bolt")
    client = signed_in(firm.alice)
    send(client, begin(client, matter=str(matter.id))["Location"], 0, TEXT)
    assert [document.matter_id for document in documents(firm)] == [matter.id]
    assert begin(client, matter=str(firm.tenant.id)).status_code == 404
    assert begin(client, matter="none").status_code == 400


@pytest.mark.parametrize("size", ["", "-1", "1e3", "٣", "9" * 30])
def test_a_size_that_is_no_number_is_refused(firm: Firm, signed_in: SignIn, size: str) -> None:
    headers = {**TUS, "Upload-Length": size.encode().decode("latin-1")}
    assert signed_in(firm.alice).post("/documents/uploads/", headers=headers).status_code == 400


def test_a_file_that_is_too_large_is_refused_before_it_is_sent(firm: Firm, signed_in: SignIn) -> None:
    answer = begin(signed_in(firm.alice), size=2**40, name="film.zip")
    assert answer.status_code == 400
    assert "split it into smaller files" in answer.content.decode()


def test_more_bytes_than_promised_are_refused(firm: Firm, signed_in: SignIn) -> None:
    client = signed_in(firm.alice)
    path = begin(client, size=10)["Location"]
    assert send(client, path, 0, b"x" * 11).status_code == 400
    assert client.head(path, headers=TUS)["Upload-Offset"] == "0"


def test_another_version_of_the_protocol_is_refused(firm: Firm, signed_in: SignIn) -> None:
    client = signed_in(firm.alice)
    assert client.post("/documents/uploads/", headers={"Upload-Length": "1"}).status_code == 412
    path = begin(client)["Location"]
    assert client.patch(path, b"x", "application/offset+octet-stream").status_code == 412
    assert client.patch(path, b"x", "text/plain", headers={**TUS, "Upload-Offset": "0"}).status_code == 415


def test_an_upload_is_its_senders_alone(firm: Firm, other_firm: Firm, signed_in: SignIn) -> None:
    path = begin(signed_in(firm.alice))["Location"]
    for member in (firm.bob, firm.dora, *other_firm.people.values()):
        client = signed_in(member)
        assert client.head(path, headers=TUS).status_code == 404
        assert send(client, path, 0, TEXT).status_code == 404
        assert client.delete(path, headers=TUS).status_code == 404


def test_an_auditor_sends_nothing(firm: Firm, signed_in: SignIn) -> None:
    assert begin(signed_in(firm.erin)).status_code == 403


def test_what_was_given_up_leaves_nothing(
    firm: Firm, signed_in: SignIn, django_capture_on_commit_callbacks: Any
) -> None:
    client = signed_in(firm.alice)
    path = begin(client)["Location"]
    send(client, path, 0, TEXT[:1000])
    with tenant_scope(firm.tenant.id):
        name = UploadPart.objects.get().stored_name
    assert TEXT[:100] not in default_storage.open(name).read(), "parts are sealed too"
    with django_capture_on_commit_callbacks(execute=True):
        assert client.delete(path, headers=TUS).status_code == 204
    assert not default_storage.exists(name)
    assert client.head(path, headers=TUS).status_code == 404


def test_what_nobody_continued_for_a_day_is_swept_by_the_next(firm: Firm, signed_in: SignIn) -> None:
    client = signed_in(firm.alice)
    path = begin(client)["Location"]
    with tenant_scope(firm.tenant.id):
        Upload.objects.update(touched_at=timezone.now() - 2 * uploads.KEPT)
    begin(client)
    assert client.head(path, headers=TUS).status_code == 404
