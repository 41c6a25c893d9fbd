from __future__ import annotations

import pytest

from tests.conftest import Firm
from tests.factories import candidate
from webapp.adapters import selectors, services
from webapp.adapters.models import VersionState
from webapp.core.errors import Conflict, Invalid, NotAllowed, NotFound
from webapp.core.tenancy import tenant_scope


def test_an_approver_approves_what_somebody_else_trained(firm: Firm) -> None:
    version = candidate(firm, by=firm.alice)
    with tenant_scope(firm.tenant.id):
        services.decide(member=firm.bob, version=version, decision="approved", note="Reads like us.")
        found = selectors.version(firm.tenant.id, version.id)
        assert found.state == VersionState.APPROVED
        assert found.approvals.get().decided_by == firm.bob


def test_nobody_decides_on_a_run_they_started(firm: Firm) -> None:
    version = candidate(firm, by=firm.bob)
    with tenant_scope(firm.tenant.id):
        with pytest.raises(NotAllowed, match="somebody else"):
            services.decide(member=firm.bob, version=version, decision="approved")
        assert selectors.version(firm.tenant.id, version.id).state == VersionState.CANDIDATE


@pytest.mark.parametrize("person", ["alice", "dora", "erin"])
def test_only_approvers_decide(firm: Firm, person: str) -> None:
    version = candidate(firm, by=firm.alice)
    with tenant_scope(firm.tenant.id), pytest.raises(NotAllowed):
        services.decide(member=firm.people[person], version=version, decision="approved")


def test_a_decision_is_made_once(firm: Firm) -> None:
    version = candidate(firm, by=firm.alice)
    with tenant_scope(firm.tenant.id):
        services.decide(member=firm.bob, version=version, decision="rejected")
        with pytest.raises(Conflict):
            services.decide(member=firm.bob, version=version, decision="approved")


def test_a_decision_is_one_of_two_words(firm: Firm) -> None:
    version = candidate(firm, by=firm.alice)
    with tenant_scope(firm.tenant.id), pytest.raises(Invalid):
        services.decide(member=firm.bob, version=version, decision="candidate")


def test_versions_of_one_name_are_numbered_and_found_by_label(firm: Firm, other_firm: Firm) -> None:
    first, second = candidate(firm), candidate(firm)
    with tenant_scope(firm.tenant.id):
        assert (str(first), str(second)) == ("briefs@1", "briefs@2")
        assert selectors.version_by_label(firm.tenant.id, "briefs@2") == second
        for label in ("briefs@3", "briefs", "briefs@", "x@1", "briefs@99999999999"):
            with pytest.raises(NotFound):
                selectors.version_by_label(firm.tenant.id, label)
    with tenant_scope(other_firm.tenant.id), pytest.raises(NotFound):
        selectors.version_by_label(other_firm.tenant.id, "briefs@1")
