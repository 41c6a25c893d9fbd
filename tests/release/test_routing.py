"""Which version answers: exact counts over seeded clients, since the split is a hash and no chance."""

from __future__ import annotations

import random
import uuid
from collections import Counter
from typing import Any

import pytest

from tests.conftest import Firm
from tests.release.conftest import Versions
from webapp.core.tenancy import tenant_scope
from webapp.serving import rollouts, routing, services
from webapp.serving.models import Rollout
from webapp.serving.routing import Routed, choose, what_is_open

CLIENTS = [f"client-{number}" for number in range(1000)]
TRIAL = uuid.UUID(int=1)


def on_trial(firm: Firm, versions: Versions, share: int, *, shadow: bool = False) -> None:
    """A trial under an id that never changes, so that every run of the tests splits alike."""
    with tenant_scope(firm.tenant.id):
        made = rollouts.send_share(member=firm.bob, version=versions.second, share=share, shadow=shadow)
        Rollout.objects.filter(id=made.id).update(id=TRIAL)


def sides(firm: Firm, versions: Versions) -> dict[str, int]:
    """How many of the clients each version answers."""
    with tenant_scope(firm.tenant.id):
        now = what_is_open(firm.tenant.id)
        answered = Counter(str(now.choose(client).version) for client in CLIENTS)
    return dict(answered)


@pytest.mark.parametrize(("share", "tried"), [(0, 0), (5, 60), (10, 103), (25, 255), (50, 494)])
def test_a_share_of_the_clients_is_answered_by_the_version_on_trial(
    firm: Firm, versions: Versions, share: int, tried: int
) -> None:
    on_trial(firm, versions, share)
    expected = {"briefs@1": 1000 - tried} | ({"briefs@2": tried} if tried else {})
    assert sides(firm, versions) == expected


def test_a_client_stays_on_its_side_and_changes_it_once_at_most(firm: Firm, versions: Versions) -> None:
    seen: dict[str, set[str]] = {}
    with tenant_scope(firm.tenant.id):
        for share in (5, 10, 25, 50):
            rollouts.send_share(member=firm.bob, version=versions.second, share=share)
            now, again = (what_is_open(firm.tenant.id) for _ in range(2))
            side = {client: str(now.choose(client).version) for client in CLIENTS}
            assert side == {client: str(again.choose(client).version) for client in CLIENTS}
            tried = {client for client, version in side.items() if version == "briefs@2"}
            assert all(before <= tried for before in seen.values()), "whoever was moved stays moved"
            seen[str(share)] = tried


def test_another_trial_moves_other_clients(firm: Firm, versions: Versions) -> None:
    halves = []
    for number in (1, 2):
        places = [routing._place(uuid.UUID(int=number), client) for client in CLIENTS]
        halves.append({client for client, place in zip(CLIENTS, places, strict=True) if place < 0.5})
    assert 0.2 < len(halves[0] & halves[1]) / 1000 < 0.3


def test_without_a_client_each_request_is_drawn_anew(
    firm: Firm, versions: Versions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routing, "_random", random.Random(7))
    on_trial(firm, versions, 25)
    with tenant_scope(firm.tenant.id):
        now = what_is_open(firm.tenant.id)
    drawn = Counter(str(now.choose(None).version) for _ in range(400))
    monkeypatch.setattr(routing, "_random", random.Random(7))
    below = sum(routing._random.random() < 0.25 for _ in range(400))
    assert drawn == {"briefs@2": below, "briefs@1": 400 - below}


def test_a_shadow_gets_copies_and_the_live_version_every_request(firm: Firm, versions: Versions) -> None:
    on_trial(firm, versions, 25, shadow=True)
    with tenant_scope(firm.tenant.id):
        now = what_is_open(firm.tenant.id)
    routed = [now.choose(client) for client in CLIENTS]
    assert {row.version for row in routed} == {versions.first}
    assert Counter(row.shadow for row in routed) == {None: 745, versions.second: 255}


def test_without_a_trial_the_live_version_answers_and_without_it_nothing(
    firm: Firm, versions: Versions
) -> None:
    with tenant_scope(firm.tenant.id):
        assert choose(firm.tenant.id) == Routed(versions.first)
        rollouts.send_share(member=firm.bob, version=versions.second, share=50)
        rollouts.withdraw(member=firm.bob, version=versions.second)
        assert what_is_open(firm.tenant.id).trial is None
        services.take_off(member=firm.bob)
        assert choose(firm.tenant.id, by="client") == Routed(None)


def test_another_firms_trial_changes_nothing(firm: Firm, other_firm: Firm, versions: Versions) -> None:
    on_trial(firm, versions, 50)
    with tenant_scope(other_firm.tenant.id):
        assert choose(other_firm.tenant.id) == Routed(None)
        assert choose(firm.tenant.id) == Routed(None), "row security hides what a wrong id asks for"


def test_it_is_one_query_with_all_that_the_engine_needs(
    firm: Firm, versions: Versions, django_assert_num_queries: Any
) -> None:
    on_trial(firm, versions, 100, shadow=True)
    with tenant_scope(firm.tenant.id), django_assert_num_queries(1):
        routed = choose(firm.tenant.id)
        assert routed.version is not None and routed.shadow is not None
        for version in (routed.version, routed.shadow):
            assert version.run.base_model == "tiny"
            assert str(version).startswith("briefs@")
