"""Trials, roll-backs and retirement through the API alone."""

from __future__ import annotations

import uuid

import pytest

from tests.api.conftest import Call, refusal
from tests.conftest import Firm
from tests.release.conftest import Versions, versions  # noqa: F401  # a fixture

pytestmark = pytest.mark.django_db


def test_a_version_is_tried_and_put_live(
    call: Call,
    firm: Firm,
    versions: Versions,  # noqa: F811
) -> None:
    path = f"versions/{versions.second.id}"
    refusal(call(firm.bob, "GET", "rollouts/current/"), 404, "not_found")
    answer = call(firm.bob, "POST", f"{path}/share/", {"share": 10, "shadow": True})
    assert answer.status_code == 200, answer.content
    now = call(firm.alice, "GET", "rollouts/current/").json()
    counts, means = ("answered", "failed", "compared", "same"), ("median", "length")
    live_means = [f"live_{name}" for name in means]
    assert now.pop("copies") == dict.fromkeys(counts, 0) | dict.fromkeys([*means, *live_means])
    assert now == answer.json()
    assert (now["version_name"], now["against_name"]) == ("briefs@2", "briefs@1")
    assert (now["share"], now["shadow"], now["outcome"]) == (10, True, "")

    ended = call(firm.bob, "POST", f"{path}/share/", {"share": 100}).json()
    assert (ended["share"], ended["outcome"], ended["ended_by"]) == (100, "promoted", firm.bob.user.email)
    assert call(firm.alice, "GET", "deployments/current/").json()["version_name"] == "briefs@2"
    assert call(firm.alice, "GET", "rollouts/").json()["results"] == [ended]


def test_a_trial_is_withdrawn(
    call: Call,
    firm: Firm,
    versions: Versions,  # noqa: F811
) -> None:
    path = f"versions/{versions.second.id}"
    call(firm.bob, "POST", f"{path}/share/", {"share": 5})
    assert call(firm.bob, "POST", f"{path}/withdraw/").status_code == 204
    refusal(call(firm.bob, "POST", f"{path}/withdraw/"), 409, "conflict")


def test_a_roll_back_may_name_what_it_expects(
    call: Call,
    firm: Firm,
    versions: Versions,  # noqa: F811
) -> None:
    refusal(call(firm.bob, "POST", "deployments/roll-back/", {}), 409, "conflict")
    call(firm.bob, "POST", f"versions/{versions.second.id}/put-live/")
    expected = {"to": str(versions.first.id)}
    back = call(firm.bob, "POST", "deployments/roll-back/", expected)
    assert (back.status_code, back.json()["version_name"]) == (201, "briefs@1")
    refusal(call(firm.bob, "POST", "deployments/roll-back/", expected), 409, "conflict")
    refusal(call(firm.bob, "POST", "deployments/roll-back/", {"to": str(uuid.uuid4())}), 404, "not_found")
    refusal(call(firm.bob, "POST", "deployments/roll-back/", {"to": "briefs"}), 400, "invalid")
    assert call(firm.bob, "POST", "deployments/roll-back/", {}).json()["version_name"] == "briefs@2"


def test_a_version_is_retired(
    call: Call,
    firm: Firm,
    versions: Versions,  # noqa: F811
) -> None:
    path = f"versions/{versions.second.id}"
    found = call(firm.bob, "POST", f"{path}/retire/").json()
    assert found["state"] == "retired" and found["retired_at"]
    refusal(call(firm.bob, "POST", f"{path}/put-live/"), 409, "conflict")
    refusal(call(firm.bob, "POST", f"versions/{versions.first.id}/retire/"), 409, "conflict")


@pytest.mark.parametrize("body", [{}, {"share": 101}, {"share": "all"}, {"share": -1}, {"share": None}])
def test_a_share_is_a_percentage(
    call: Call,
    firm: Firm,
    versions: Versions,  # noqa: F811
    body: dict[str, object],
) -> None:
    answer = call(firm.bob, "POST", f"versions/{versions.second.id}/share/", body)
    assert "share" in refusal(answer, 400, "invalid")["fields"]


def test_only_approvers_release(
    call: Call,
    firm: Firm,
    versions: Versions,  # noqa: F811
) -> None:
    path = f"versions/{versions.second.id}"
    acts = [(f"{path}/share/", {"share": 5}), (f"{path}/withdraw/", None), (f"{path}/retire/", None)]
    for member in (firm.alice, firm.dora):
        for act, body in [*acts, ("deployments/roll-back/", {})]:
            refusal(call(member, "POST", act, body), 403, "not_allowed")
