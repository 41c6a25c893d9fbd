from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import Call, refusal
from tests.conftest import Firm
from tests.factories import ready_dataset, ready_document
from webapp.core.tenancy import tenant_scope
from webapp.datasets import selectors

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
