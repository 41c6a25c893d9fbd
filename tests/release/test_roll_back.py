from __future__ import annotations

import pytest

from tests.conftest import Firm
from tests.release.conftest import Versions, another
from webapp.audit import selectors as audit
from webapp.core.errors import Conflict, NotAllowed
from webapp.core.tenancy import tenant_scope
from webapp.serving import rollouts, selectors, services
from webapp.serving.models import Outcome


def test_the_version_before_is_live_again_in_one_step(firm: Firm, versions: Versions) -> None:
    with tenant_scope(firm.tenant.id):
        services.put_live(member=firm.bob, version=versions.second)
        services.roll_back(member=firm.bob)
        assert selectors.live_version(firm.tenant.id) == versions.first
        rows = [row.version for row in selectors.deployments(firm.tenant.id)]
        assert rows == [versions.first, versions.second, versions.first], "the record keeps each time"
        event = audit.events(firm.tenant.id)[0]
        assert (event.action, event.data["label"]) == ("version.rolled_back", "briefs@1")


def test_what_was_taken_off_comes_back(firm: Firm, versions: Versions) -> None:
    with tenant_scope(firm.tenant.id):
        services.put_live(member=firm.bob, version=versions.second)
        services.take_off(member=firm.bob)
        services.roll_back(member=firm.bob)
        assert selectors.live_version(firm.tenant.id) == versions.second


def test_there_is_nothing_before_the_first(firm: Firm, versions: Versions) -> None:
    with tenant_scope(firm.tenant.id):
        with pytest.raises(Conflict, match="No other version was live before"):
            services.roll_back(member=firm.bob)
        assert selectors.live_version(firm.tenant.id) == versions.first


def test_a_retired_version_does_not_come_back(firm: Firm, versions: Versions) -> None:
    with tenant_scope(firm.tenant.id):
        services.put_live(member=firm.bob, version=versions.second)
        services.retire(member=firm.bob, version=versions.first)
        with pytest.raises(Conflict, match=r"^briefs@1 was live before and has been retired since"):
            services.roll_back(member=firm.bob)
        assert selectors.live_version(firm.tenant.id) == versions.second


def test_a_second_click_does_not_roll_forward_again(firm: Firm, versions: Versions) -> None:
    """Who clicks saw that `first` would come back; meanwhile a colleague has done just that."""
    with tenant_scope(firm.tenant.id):
        services.put_live(member=firm.bob, version=versions.second)
        services.roll_back(member=firm.bob, to=versions.first)
        with pytest.raises(Conflict, match="changed meanwhile"):
            services.roll_back(member=firm.bob, to=versions.first)
        assert selectors.live_version(firm.tenant.id) == versions.first


def test_it_ends_a_trial(firm: Firm, versions: Versions) -> None:
    third = another(firm, versions)
    with tenant_scope(firm.tenant.id):
        services.put_live(member=firm.bob, version=versions.second)
        trial = rollouts.send_share(member=firm.bob, version=third, share=50)
        services.roll_back(member=firm.bob)
        trial.refresh_from_db()
        assert trial.outcome == Outcome.REPLACED


@pytest.mark.parametrize("person", ["alice", "dora", "erin"])
def test_only_approvers_roll_back(firm: Firm, versions: Versions, person: str) -> None:
    with tenant_scope(firm.tenant.id):
        services.put_live(member=firm.bob, version=versions.second)
        with pytest.raises(NotAllowed):
            services.roll_back(member=firm.people[person])
