"""What engines must hold, as the workers that care for them read it across firms."""

from __future__ import annotations

from django.db import connection

from tests.conftest import Firm
from tests.factories import approved
from tests.release.conftest import Versions
from tests.tenancy.matters import into_matter, screen_off
from webapp.core.tenancy import tenant_scope
from webapp.serving import rollouts, selectors, services


def test_live_versions_and_those_on_trial_of_all_firms(
    firm: Firm, other_firm: Firm, versions: Versions
) -> None:
    theirs = approved(other_firm, by=other_firm.carol, approver=other_firm.dave)
    with tenant_scope(other_firm.tenant.id):
        services.put_live(member=other_firm.dave, version=theirs)
    with tenant_scope(firm.tenant.id):
        rollouts.send_share(member=firm.bob, version=versions.second, share=5)
    approved(firm, by=firm.alice, approver=firm.bob)
    into_matter(firm)
    screen_off(firm, firm.alice)  # a screen hides nothing from engines

    expected = {versions.first, versions.second, theirs}
    found = selectors.wanted()
    assert set(found) == expected and len(found) == 3
    assert {version.run.adapter_name for version in found} == {"briefs"}, "read with what loading needs"
    assert {row.engine_name for row in selectors.wanted_ids()} == {row.engine_name for row in expected}


def test_what_is_off_is_not_wanted(firm: Firm, versions: Versions) -> None:
    with tenant_scope(firm.tenant.id):
        services.put_live(member=firm.bob, version=versions.second)
        assert selectors.wanted(firm.tenant.id) == [versions.second]
        services.take_off(member=firm.bob)
    assert selectors.wanted() == []


def test_only_workers_read_it_across_firms(firm: Firm, other_firm: Firm, versions: Versions) -> None:
    with tenant_scope(other_firm.tenant.id), connection.cursor() as cursor:
        cursor.execute("SELECT * FROM housestyle_wanted()")
        assert cursor.fetchall() == []
        assert selectors.wanted(firm.tenant.id) == []
