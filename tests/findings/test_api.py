from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from django.test import Client

from tests.api.conftest import Call, call, refusal  # noqa: F401  # the fixture `call`
from tests.conftest import Firm
from tests.findings.conftest import LETTER, Scanned

pytestmark = pytest.mark.django_db

JSON = "application/json"


def test_findings_are_listed_with_their_places(call: Call, firm: Firm, scanned: Scanned) -> None:  # noqa: F811
    document = scanned(firm)
    found = call(firm.bob, "GET", f"documents/{document.id}/findings/").json()
    assert found["count"] == 6
    assert [LETTER[row["start"] : row["end"]] for row in found["results"]][:2] == [
        "PRIVILEGED AND CONFIDENTIAL",
        "jane@example.com",
    ]
    assert {row["state"] for row in found["results"]} == {"open"}
    assert found["results"][0]["decided_by"] is None


def test_some_or_all_of_a_kind_are_decided_on_and_opened_again(
    call: Call,  # noqa: F811
    firm: Firm,
    scanned: Scanned,
) -> None:
    path = f"documents/{scanned(firm).id}/findings/"
    first, second = [row["id"] for row in call(firm.alice, "GET", path).json()["results"]][:2]
    decide = f"{path}decide/"
    answer = call(firm.alice, "POST", decide, {"decision": "ignored", "findings": [first, second]})
    assert answer.json() == {"changed": 2}
    assert call(firm.bob, "POST", decide, {"decision": "redacted", "kind": "phone"}).json() == {"changed": 2}
    assert call(firm.bob, "POST", decide, {"decision": "open", "findings": [first]}).json() == {"changed": 1}
    rows = call(firm.alice, "GET", path).json()["results"]
    assert [(row["state"], row["decided_by"]) for row in rows] == [
        ("open", None),
        ("ignored", firm.alice.label),
        ("redacted", firm.bob.label),
        ("open", None),
        ("redacted", firm.bob.label),
        ("open", None),
    ]


def test_what_cannot_be_decided_is_refused(
    call: Call,  # noqa: F811
    firm: Firm,
    scanned: Scanned,
    signed_in: Callable[..., Client],
) -> None:
    document, other = scanned(firm), scanned(firm)
    path = f"documents/{document.id}/findings/decide/"
    (foreign, *_) = call(firm.alice, "GET", f"documents/{other.id}/findings/").json()["results"]
    refusal(call(firm.alice, "POST", path, {"decision": "burnt", "kind": "phone"}), 400, "invalid")
    refusal(call(firm.alice, "POST", path, {"decision": "redacted"}), 400, "invalid")
    for unknown in (foreign["id"], str(uuid.uuid4())):
        body = {"decision": "redacted", "findings": [unknown]}
        refusal(call(firm.alice, "POST", path, body), 404, "not_found")
    answer = signed_in(firm.erin).post(f"/api/v1/{path}", {"decision": "redacted", "kind": "phone"}, JSON)
    refusal(answer, 403, "not_allowed")


def test_another_firm_finds_nothing(
    call: Call,  # noqa: F811
    firm: Firm,
    other_firm: Firm,
    scanned: Scanned,
) -> None:
    path = f"documents/{scanned(firm).id}/findings/"
    refusal(call(other_firm.carol, "GET", path), 404, "not_found")
    body = {"decision": "redacted", "kind": "phone"}
    refusal(call(other_firm.carol, "POST", f"{path}decide/", body), 404, "not_found")
