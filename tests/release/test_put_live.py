from __future__ import annotations

import pytest

from tests.conftest import Firm
from tests.factories import approved, candidate
from webapp.audit import selectors as audit
from webapp.core.errors import Conflict, NotAllowed
from webapp.core.tenancy import tenant_scope
from webapp.serving import selectors, services


def test_an_approved_version_goes_live_and_replaces_what_was(firm: Firm) -> None:
    first = approved(firm, by=firm.alice, approver=firm.bob)
    second = approved(firm, by=firm.alice, approver=firm.bob)
    with tenant_scope(firm.tenant.id):
        services.put_live(member=firm.bob, version=first)
        services.put_live(member=firm.bob, version=second)
        assert selectors.live_version(firm.tenant.id) == second
        ended = selectors.deployments(firm.tenant.id).last()
        assert ended is not None and ended.version == first and ended.live_until is not None


def test_what_is_not_approved_does_not_go_live(firm: Firm) -> None:
    version = candidate(firm, by=firm.alice)
    with tenant_scope(firm.tenant.id), pytest.raises(Conflict, match="approve it before"):
        services.put_live(member=firm.bob, version=version)


def test_the_live_version_is_not_put_live_again_and_stays_live(firm: Firm) -> None:
    version = approved(firm, by=firm.alice, approver=firm.bob)
    with tenant_scope(firm.tenant.id):
        services.put_live(member=firm.bob, version=version)
        with pytest.raises(Conflict, match="already live"):
            services.put_live(member=firm.bob, version=version)
        assert selectors.live_version(firm.tenant.id) == version


def test_taking_off_leaves_nothing_live_and_is_audited(firm: Firm) -> None:
    version = approved(firm, by=firm.alice, approver=firm.bob)
    with tenant_scope(firm.tenant.id):
        services.put_live(member=firm.bob, version=version)
        services.take_off(member=firm.bob)
        assert selectors.live(firm.tenant.id) is None
        actions = [event.action for event in audit.events(firm.tenant.id)[:3]]
        assert actions == ["version.taken_off", "version.put_live", "version.approved"]
        with pytest.raises(Conflict):
            services.take_off(member=firm.bob)


@pytest.mark.parametrize("person", ["alice", "dora", "erin"])
def test_only_approvers_release(firm: Firm, person: str) -> None:
    version = approved(firm, by=firm.alice, approver=firm.bob)
    with tenant_scope(firm.tenant.id), pytest.raises(NotAllowed):
        services.put_live(member=firm.people[person], version=version)
