from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import Client

from tests.api.conftest import Call, refusal
from tests.conftest import Firm
from tests.factories import cite, end_job, freeze, ready_dataset, ready_document
from webapp.core.jobs.models import JobState
from webapp.core.tenancy import tenant_scope
from webapp.datasets import selectors, services
from webapp.datasets.models import Dataset

pytestmark = pytest.mark.django_db


def test_a_dataset_is_made_of_ready_documents_and_split_by_document(call: Call, firm: Firm) -> None:
    documents = [str(ready_document(firm).id) for _ in range(3)]
    wanted = {"name": "Briefs", "documents": documents, "heldout_share": 0.3, "seed": 7}
    answer = call(firm.alice, "POST", "datasets/", wanted)
    assert answer.status_code == 201, answer.content
    made = answer.json()
    assert (made["name"], made["state"], made["seed"]) == ("Briefs", "queued", 7)
    assert {part["id"] for part in made["documents"]} == set(documents)
    assert {part["split"] for part in made["documents"]} == {"train", "heldout"}
    assert call(firm.alice, "GET", f"datasets/{made['id']}/").json() == made


def test_all_problems_come_at_once_and_nothing_is_made(call: Call, firm: Firm) -> None:
    wanted = {"name": " x ", "documents": [str(ready_document(firm).id)], "heldout_share": 0.9}
    error = refusal(call(firm.alice, "POST", "datasets/", wanted), 400, "invalid")
    assert set(error["fields"]) == {"documents", "heldout_share"}
    with tenant_scope(firm.tenant.id):
        assert not selectors.datasets(firm.tenant.id).exists()


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({}, "name"),
        ({"name": "Briefs", "documents": ["x"]}, "documents"),
        ({"name": "Briefs", "documents": [], "seed": -1}, "seed"),
        ({"name": "a\x00b", "documents": []}, "name"),
    ],
    ids=str,
)
def test_a_malformed_request_names_its_field(
    call: Call, firm: Firm, wanted: dict[str, Any], field: str
) -> None:
    assert field in refusal(call(firm.alice, "POST", "datasets/", wanted), 400, "invalid")["fields"]


def test_examples_come_in_pages_and_by_side_of_the_split(call: Call, firm: Firm) -> None:
    dataset = ready_dataset(firm)
    path = f"datasets/{dataset.id}/examples/"
    everything = call(firm.alice, "GET", f"{path}?page_size=1").json()
    assert everything["count"] == dataset.train_examples + dataset.heldout_examples > 1
    assert len(everything["results"]) == 1
    held_out = call(firm.alice, "GET", f"{path}?split=heldout").json()
    assert held_out["count"] == dataset.heldout_examples
    assert {row["split"] for row in held_out["results"]} == {"heldout"}
    assert held_out["results"][0]["prompt"]
    refusal(call(firm.alice, "GET", f"{path}?split=other"), 400, "invalid")


def test_a_dataset_says_how_it_is_made(call: Call, firm: Firm) -> None:
    documents = [str(ready_document(firm).id) for _ in range(2)]
    wanted = {"name": "Briefs", "documents": documents, "kinds": ["draft", "cite"], "max_tokens": 200}
    made = call(firm.alice, "POST", "datasets/", wanted).json()
    assert (made["kinds"], made["max_tokens"]) == (["cite", "draft"], 200)
    assert (made["version"], made["parent"], made["manifest"]) == (1, None, {})
    refused = {**wanted, "kinds": ["poem"]}
    assert set(refusal(call(firm.alice, "POST", "datasets/", refused), 400, "invalid")["fields"]) == {"kinds"}
    refused = {**wanted, "kinds": [], "max_tokens": 7}
    fields = refusal(call(firm.alice, "POST", "datasets/", refused), 400, "invalid")["fields"]
    assert set(fields) == {"kinds", "max_tokens"}


def test_a_frozen_dataset_tells_its_manifest(call: Call, firm: Firm) -> None:
    dataset = ready_dataset(firm)
    found = call(firm.bob, "GET", f"datasets/{dataset.id}/").json()
    assert (found["state"], found["sha256"]) == ("ready", dataset.sha256)
    assert found["manifest"]["examples_sha256"]
    assert found["manifest"] == dataset.manifest


def test_examples_are_changed_in_a_draft_that_is_frozen_as_the_next_version(call: Call, firm: Firm) -> None:
    dataset = larger_dataset(firm)
    path = f"datasets/{dataset.id}/"
    draft = call(firm.alice, "POST", f"{path}exclude/", {"position": 1}).json()
    assert (draft["state"], draft["version"], draft["parent"]) == ("draft", 2, str(dataset.id))
    said = {"position": 2, "prompt": " Cite it. ", "completion": "See 1 U. S. 2."}
    assert call(firm.alice, "POST", f"datasets/{draft['id']}/edit/", said).json()["id"] == draft["id"]
    changes = call(firm.alice, "GET", f"datasets/{draft['id']}/changes/").json()["results"]
    assert [(row["position"], row["excluded"], row["prompt"]) for row in changes] == [
        (1, True, ""),
        (2, False, " Cite it. "),
    ]
    assert {row["changed_by"] for row in changes} == {firm.alice.user.email}
    call(firm.alice, "POST", f"datasets/{draft['id']}/undo/", {"position": 2})
    assert call(firm.alice, "GET", f"datasets/{draft['id']}/changes/").json()["count"] == 1
    frozen = call(firm.alice, "POST", f"datasets/{draft['id']}/freeze/").json()
    assert (frozen["id"], frozen["state"]) == (draft["id"], "queued")
    refusal(call(firm.alice, "POST", f"datasets/{draft['id']}/freeze/"), 409, "conflict")
    refusal(call(firm.alice, "POST", f"datasets/{draft['id']}/undo/", {"position": 1}), 409, "conflict")
    refusal(call(firm.alice, "DELETE", f"datasets/{draft['id']}/"), 409, "conflict")


def test_a_draft_that_could_not_be_built_is_taken_up_again(call: Call, firm: Firm) -> None:
    dataset = larger_dataset(firm)
    draft = call(firm.alice, "POST", f"datasets/{dataset.id}/exclude/", {"position": 1}).json()
    path = f"datasets/{draft['id']}/"
    refusal(call(firm.alice, "POST", f"{path}reopen/"), 409, "conflict")
    call(firm.alice, "POST", f"{path}freeze/")
    with tenant_scope(firm.tenant.id):
        end_job(selectors.dataset(firm.tenant.id, draft["id"]).job, JobState.FAILED, "It is away.")
    assert call(firm.alice, "GET", path).json()["reason"] == "It is away."
    again = call(firm.alice, "POST", f"{path}reopen/").json()
    assert (again["id"], again["state"], again["reason"]) == (draft["id"], "draft", "")
    assert call(firm.alice, "GET", f"{path}changes/").json()["count"] == 1


def test_a_change_that_cannot_be_is_refused_and_begins_nothing(call: Call, firm: Firm) -> None:
    dataset = ready_dataset(firm)
    path = f"datasets/{dataset.id}/"
    refusal(call(firm.alice, "POST", f"{path}exclude/", {"position": 99}), 404, "not_found")
    assert "position" in refusal(call(firm.alice, "POST", f"{path}exclude/", {}), 400, "invalid")["fields"]
    empty = {"position": 0, "prompt": "Cite it.", "completion": " "}
    fields = refusal(call(firm.alice, "POST", f"{path}edit/", empty), 400, "invalid")["fields"]
    assert set(fields) == {"completion"}
    refusal(call(firm.alice, "POST", f"{path}freeze/"), 409, "conflict")
    refusal(call(firm.alice, "POST", f"{path}without-withdrawn/"), 409, "conflict")
    assert call(firm.alice, "GET", "datasets/").json()["count"] == 1


def test_a_draft_is_discarded_and_a_version_deleted_unless_something_came_of_it(
    call: Call, firm: Firm
) -> None:
    dataset = larger_dataset(firm)
    path = f"datasets/{dataset.id}/"
    draft = call(firm.alice, "POST", f"{path}exclude/", {"position": 0}).json()
    refusal(call(firm.alice, "DELETE", path), 409, "conflict")
    assert call(firm.alice, "DELETE", f"datasets/{draft['id']}/").status_code == 204
    assert call(firm.alice, "DELETE", path).status_code == 204
    refusal(call(firm.alice, "GET", path), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "exclude/", {"position": 0}),
        ("POST", "edit/", {"position": 0, "prompt": "a", "completion": "b"}),
        ("POST", "undo/", {"position": 0}),
        ("POST", "freeze/", None),
        ("POST", "reopen/", None),
        ("POST", "without-withdrawn/", None),
        ("GET", "export/", None),
        ("DELETE", "", None),
    ],
    ids=str,
)
def test_an_auditor_changes_and_takes_nothing_and_outsiders_find_nothing(
    call: Call,
    signed_in: Callable[..., Client],
    firm: Firm,
    other_firm: Firm,
    method: str,
    path: str,
    body: Any,
) -> None:
    dataset = ready_dataset(firm)
    url = f"/api/v1/datasets/{dataset.id}/{path}"
    answer = signed_in(firm.erin).generic(method, url, json.dumps(body), content_type="application/json")
    refusal(answer, 403, "not_allowed")
    refusal(call(other_firm.carol, method, f"datasets/{dataset.id}/{path}", body), 404, "not_found")


def test_a_dataset_is_exported_line_by_line(call: Call, firm: Firm) -> None:
    dataset = larger_dataset(firm)
    answer = call(firm.alice, "GET", f"datasets/{dataset.id}/export/")
    assert answer.headers["Content-Type"] == "application/jsonl"

    async def whole() -> bytes:
        return b"".join([part async for part in answer.streaming_content])

    header, *lines = async_to_sync(whole)().decode().splitlines()
    assert json.loads(header)["housestyle_dataset"]["sha256"] == dataset.sha256
    assert [json.loads(line)["completion"] for line in lines] == [cite(n).completion for n in range(5)]


def larger_dataset(firm: Firm) -> Dataset:
    """Three examples to train on and two held out."""
    chosen = [ready_document(firm) for _ in range(2)]
    with tenant_scope(firm.tenant.id):
        dataset = services.create(member=firm.alice, name="Briefs", document_ids=[row.id for row in chosen])
        freeze(dataset, train=[cite(n) for n in range(3)], heldout=[cite(n) for n in range(3, 5)])
    return dataset
