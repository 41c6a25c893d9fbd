"""Who is screened off a matter learns of no trial, and touches none, of weights that were made from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests.conftest import Firm
from tests.factories import approved
from tests.tenancy.matters import into_matter, screen_off
from webapp.adapters.models import AdapterVersion
from webapp.audit import selectors as audit
from webapp.core.errors import Conflict, NotFound
from webapp.core.tenancy import firm_scope, tenant_scope
from webapp.serving import rollouts, selectors, services
from webapp.serving.models import Outcome, Rollout
from webapp.serving.routing import Routed, choose

pytestmark = pytest.mark.django_db


@pytest.fixture
def hidden(firm: Firm) -> AdapterVersion:
    """A version that learned from a matter, which alice and bob are screened off."""
    version = approved(firm, by=firm.alice, approver=firm.bob, adapter_name="smith")
    into_matter(firm)
    screen_off(firm, firm.alice, firm.bob)
    return version


@pytest.fixture
def open_to_all(firm: Firm, hidden: AdapterVersion) -> AdapterVersion:
    return approved(firm, by=firm.alice, approver=firm.bob, adapter_name="letters")


@pytest.fixture
def tried(firm: Firm, hidden: AdapterVersion, open_to_all: AdapterVersion) -> Rollout:
    """The hidden version answers everything's copy or half of it, beside the one that all may see."""
    with firm_scope(firm.tenant.id):
        services.put_live(member=firm.bob, version=open_to_all)
        return rollouts.send_share(member=firm.bob, version=hidden, share=99)


def test_their_programs_are_answered_by_the_live_version_alone(
    firm: Firm, tried: Rollout, open_to_all: AdapterVersion
) -> None:
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        assert {choose(firm.tenant.id, by=str(at)) for at in range(40)} == {Routed(open_to_all)}
        assert selectors.rollout(firm.tenant.id) is None
    with tenant_scope(firm.tenant.id, viewer=firm.dora.id):
        assert {str(choose(firm.tenant.id, by=str(at)).version) for at in range(40)} >= {"smith@1"}


def test_where_the_live_version_is_hidden_so_is_what_is_tried_beside_it(
    firm: Firm, hidden: AdapterVersion, open_to_all: AdapterVersion
) -> None:
    with firm_scope(firm.tenant.id):
        services.put_live(member=firm.bob, version=hidden)
        rollouts.send_share(member=firm.bob, version=open_to_all, share=99)
    with tenant_scope(firm.tenant.id, viewer=firm.bob.id):
        assert choose(firm.tenant.id) == Routed(None)
        assert selectors.rollout(firm.tenant.id) is None
        with pytest.raises(Conflict, match="Nothing is live"):
            rollouts.send_share(member=firm.bob, version=open_to_all, share=5)
        with pytest.raises(Conflict, match="is not on trial"):
            rollouts.withdraw(member=firm.bob, version=open_to_all)


def test_pages_and_api_name_no_trial(
    firm: Firm, tried: Rollout, open_to_all: AdapterVersion, signed_in: Callable[..., Client], client: Client
) -> None:
    def api(member: Any, path: str) -> Any:
        return client.get(f"/api/v1/{path}", headers={"Authorization": f"Bearer {firm.key(member)}"})

    for path in ("/adapters/", f"/adapters/versions/{open_to_all.id}/"):
        page = signed_in(firm.bob).get(path).content.decode()
        assert "smith" not in page and "rial" not in page.replace("Try it", ""), path
        assert "smith@1" in signed_in(firm.dora).get(path).content.decode(), path
    assert api(firm.bob, "rollouts/").json()["count"] == 0
    assert api(firm.bob, "rollouts/current/").status_code == 404
    assert api(firm.dora, "rollouts/").json()["count"] == 1
    assert api(firm.dora, "rollouts/current/").json()["version_name"] == "smith@1"


def test_they_put_another_version_live_and_end_a_trial_that_they_cannot_know_of(
    firm: Firm, tried: Rollout
) -> None:
    mine = approved(firm, by=firm.alice, approver=firm.bob, adapter_name="mine")
    with tenant_scope(firm.tenant.id, viewer=firm.bob.id):
        services.put_live(member=firm.bob, version=mine)
    with firm_scope(firm.tenant.id):
        tried.refresh_from_db()
        assert tried.outcome == Outcome.REPLACED
        said = audit.events(firm.tenant.id)[0]
        assert (said.action, said.data["label"]) == ("version.put_live", "mine@1")


def test_their_trial_takes_the_place_of_one_that_they_cannot_know_of(firm: Firm, tried: Rollout) -> None:
    mine = approved(firm, by=firm.alice, approver=firm.bob, adapter_name="mine")
    with tenant_scope(firm.tenant.id, viewer=firm.bob.id):
        rollouts.send_share(member=firm.bob, version=mine, share=5)
    with firm_scope(firm.tenant.id):
        tried.refresh_from_db()
        assert tried.outcome == Outcome.REPLACED
        assert Rollout.objects.get(ended_at=None).version == mine


def test_a_roll_back_goes_to_what_they_may_see(
    firm: Firm, hidden: AdapterVersion, open_to_all: AdapterVersion
) -> None:
    """The one before the last is hidden: to them it never was."""
    last = approved(firm, by=firm.alice, approver=firm.bob, adapter_name="last")
    with firm_scope(firm.tenant.id):
        for version in (open_to_all, hidden, last):
            services.put_live(member=firm.bob, version=version)
    with tenant_scope(firm.tenant.id, viewer=firm.bob.id):
        assert services.roll_back(member=firm.bob).version == open_to_all


def test_what_they_cannot_see_they_cannot_retire(firm: Firm, hidden: AdapterVersion) -> None:
    with tenant_scope(firm.tenant.id, viewer=firm.bob.id):
        for act in (
            lambda: services.retire(member=firm.bob, version=hidden),
            lambda: services.roll_back(member=firm.bob, to=hidden),
        ):
            with pytest.raises(Conflict):
                act()
        with pytest.raises(NotFound):
            services.put_live(member=firm.bob, version=hidden)
    with firm_scope(firm.tenant.id):
        hidden.refresh_from_db()
        assert hidden.state == "approved"
