from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from tests.conftest import Firm
from tests.factories import candidate
from tests.release.conftest import Versions
from webapp.adapters.models import AdapterVersion, VersionState
from webapp.audit import selectors as audit
from webapp.core.errors import Conflict, NotAllowed, NotFound
from webapp.core.tenancy import tenant_scope
from webapp.playground import selectors as playground
from webapp.serving import rollouts, services


def test_a_retired_version_never_answers_again(firm: Firm, versions: Versions) -> None:
    second = versions.second
    with tenant_scope(firm.tenant.id):
        stale = AdapterVersion.objects.select_related("adapter", "run").get(id=second.id)
        services.retire(member=firm.bob, version=second)
        assert (second.state, second.retired_by) == (VersionState.RETIRED, firm.bob)
        assert audit.events(firm.tenant.id)[0].action == "version.retired"
        for version in (second, stale):  # also where somebody looked before it was retired
            with pytest.raises(Conflict, match="is retired and never answers again"):
                services.put_live(member=firm.bob, version=version)
            with pytest.raises(Conflict, match="is retired and never answers again"):
                rollouts.send_share(member=firm.bob, version=version, share=5)
        assert [column.label for column in playground.columns(firm.tenant.id)] == ["Base model", "briefs@1"]
        with pytest.raises(NotFound):
            playground.version(firm.tenant.id, str(second.id))


def test_what_is_live_is_not_retired(firm: Firm, versions: Versions) -> None:
    with tenant_scope(firm.tenant.id):
        with pytest.raises(Conflict, match="is live; put another version live"):
            services.retire(member=firm.bob, version=versions.first)
        services.take_off(member=firm.bob)
        services.retire(member=firm.bob, version=versions.first)


def test_what_is_on_trial_is_not_retired(firm: Firm, versions: Versions) -> None:
    with tenant_scope(firm.tenant.id):
        rollouts.send_share(member=firm.bob, version=versions.second, share=5)
        with pytest.raises(Conflict, match="is on trial; end the trial"):
            services.retire(member=firm.bob, version=versions.second)
        rollouts.withdraw(member=firm.bob, version=versions.second)
        services.retire(member=firm.bob, version=versions.second)


def test_what_was_never_approved_is_not_retired_and_nothing_twice(firm: Firm, versions: Versions) -> None:
    waiting = candidate(firm, by=firm.alice, dataset=versions.first.run.dataset)
    with tenant_scope(firm.tenant.id):
        with pytest.raises(Conflict, match="is not approved"):
            services.retire(member=firm.bob, version=waiting)
        services.retire(member=firm.bob, version=versions.second)
        with pytest.raises(Conflict, match="is not approved"):
            services.retire(member=firm.bob, version=versions.second)


@pytest.mark.parametrize("person", ["alice", "dora", "erin"])
def test_only_approvers_retire(firm: Firm, versions: Versions, person: str) -> None:
    with tenant_scope(firm.tenant.id), pytest.raises(NotAllowed):
        services.retire(member=firm.people[person], version=versions.second)


def test_the_database_wants_to_know_who_retired_it(firm: Firm, versions: Versions) -> None:
    with (
        tenant_scope(firm.tenant.id),
        pytest.raises(IntegrityError, match="version_retired_whole"),
        transaction.atomic(),
    ):
        AdapterVersion.objects.filter(id=versions.second.id).update(state=VersionState.RETIRED)
