"""From a candidate to the live adapter and back, through the API alone."""

from __future__ import annotations

import pytest

from tests.api.conftest import Call, refusal
from tests.conftest import Firm
from tests.factories import approved, candidate

pytestmark = pytest.mark.django_db


def test_an_approver_approves_and_puts_live(call: Call, firm: Firm) -> None:
    version = candidate(firm, by=firm.alice)
    decision = {"version": str(version.id), "decision": "approved", "note": "Reads like us."}
    answer = call(firm.bob, "POST", "approvals/", decision)
    assert answer.status_code == 201, answer.content
    assert answer.json()["decided_by"] == firm.bob.user.email
    refusal(call(firm.bob, "POST", "approvals/", decision), 409, "conflict")

    refusal(call(firm.bob, "GET", "deployments/current/"), 404, "not_found")
    put = call(firm.bob, "POST", f"versions/{version.id}/put-live/")
    assert put.status_code == 201
    assert put.json()["version_name"] == "briefs@1"
    assert call(firm.alice, "GET", "deployments/current/").json() == put.json()
    found = call(firm.alice, "GET", f"versions/{version.id}/").json()
    assert (found["name"], found["state"], found["live"]) == ("briefs@1", "approved", True)

    assert call(firm.bob, "POST", "deployments/take-off/").status_code == 204
    refusal(call(firm.bob, "GET", "deployments/current/"), 404, "not_found")
    refusal(call(firm.bob, "POST", "deployments/take-off/"), 409, "conflict")
    (past,) = call(firm.alice, "GET", "deployments/").json()["results"]
    assert past["live_until"]


def test_nobody_decides_on_a_run_they_started(call: Call, firm: Firm) -> None:
    version = candidate(firm, by=firm.bob)
    decision = {"version": str(version.id), "decision": "approved"}
    error = refusal(call(firm.bob, "POST", "approvals/", decision), 403, "not_allowed")
    assert "You started this run" in error["message"]
    assert call(firm.bob, "GET", f"versions/{version.id}/").json()["state"] == "candidate"


def test_a_role_that_does_not_decide_is_told_who_does(call: Call, firm: Firm) -> None:
    version = candidate(firm, by=firm.bob)
    decision = {"version": str(version.id), "decision": "approved"}
    for member in (firm.alice, firm.dora):
        error = refusal(call(member, "POST", "approvals/", decision), 403, "not_allowed")
        assert "approver" in error["message"]
        refusal(call(member, "POST", f"versions/{version.id}/put-live/"), 403, "not_allowed")


def test_a_decision_is_one_of_two(call: Call, firm: Firm) -> None:
    decision = {"version": str(candidate(firm, by=firm.alice).id), "decision": "maybe"}
    assert "decision" in refusal(call(firm.bob, "POST", "approvals/", decision), 400, "invalid")["fields"]


def test_what_is_not_approved_cannot_go_live(call: Call, firm: Firm) -> None:
    version = candidate(firm, by=firm.alice)
    refusal(call(firm.bob, "POST", f"versions/{version.id}/put-live/"), 409, "conflict")


def test_an_adapter_lists_its_versions_newest_first(call: Call, firm: Firm) -> None:
    first = approved(firm, by=firm.alice, approver=firm.bob)
    candidate(firm, by=firm.alice)
    candidate(firm, by=firm.alice, adapter_name="letters")
    found = call(firm.alice, "GET", f"adapters/{first.adapter_id}/").json()
    assert [row["name"] for row in found["versions"]] == ["briefs@2", "briefs@1"]
    assert [row["state"] for row in found["versions"]] == ["candidate", "approved"]
    assert [row["name"] for row in call(firm.alice, "GET", "adapters/").json()["results"]] == [
        "briefs",
        "letters",
    ]
