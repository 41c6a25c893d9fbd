"""Two approvers who act at the same moment: one of them meets what the other left."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connection

from tests.conftest import Firm
from tests.release.conftest import Versions, another
from webapp.core.errors import Conflict
from webapp.core.tenancy import tenant_scope
from webapp.serving import rollouts, selectors, services
from webapp.serving.models import Deployment, Rollout

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(firm: Firm, *acts: Callable[[], Any]) -> list[str]:
    """What became of each: `done`, or the sentence that it was refused with."""
    gate = Barrier(len(acts))

    def act(work: Callable[[], Any]) -> str:
        try:
            with tenant_scope(firm.tenant.id, viewer=firm.bob.id):
                gate.wait()
                work()
            return "done"
        except Conflict as refused:
            return refused.message
        finally:
            connection.close()

    with ThreadPoolExecutor(len(acts)) as threads:
        return list(threads.map(act, acts))


def test_two_roll_backs_are_one(firm: Firm, versions: Versions) -> None:
    with tenant_scope(firm.tenant.id):
        services.put_live(member=firm.bob, version=versions.second)

    def back() -> None:
        services.roll_back(member=firm.bob, to=versions.first)

    said = at_once(firm, back, back)
    assert said.count("done") == 1
    with tenant_scope(firm.tenant.id):
        assert selectors.live_version(firm.tenant.id) == versions.first


def test_two_trials_leave_one(firm: Firm, versions: Versions) -> None:
    third = another(firm, versions)
    said = at_once(
        firm,
        lambda: rollouts.send_share(member=firm.bob, version=versions.second, share=5),
        lambda: rollouts.send_share(member=firm.bob, version=third, share=10),
    )
    assert said == ["done", "done"]
    with tenant_scope(firm.tenant.id):
        assert Rollout.objects.filter(ended_at=None).count() == 1
        assert Rollout.objects.filter(outcome="replaced").count() == 1


def test_what_is_put_live_is_not_retired_in_the_same_moment(firm: Firm, versions: Versions) -> None:
    said = at_once(
        firm,
        lambda: services.put_live(member=firm.bob, version=versions.second),
        lambda: services.retire(member=firm.bob, version=versions.second),
    )
    assert said.count("done") == 1, said
    with tenant_scope(firm.tenant.id):
        live = Deployment.objects.select_related("version").get(live_until=None).version
        assert live.state == "approved"


def test_a_promotion_and_a_withdrawal_leave_one_outcome(firm: Firm, versions: Versions) -> None:
    with tenant_scope(firm.tenant.id):
        rollouts.send_share(member=firm.bob, version=versions.second, share=50)
    said = at_once(
        firm,
        lambda: rollouts.send_share(member=firm.bob, version=versions.second, share=100),
        lambda: rollouts.withdraw(member=firm.bob, version=versions.second),
    )
    with tenant_scope(firm.tenant.id):
        outcomes = list(Rollout.objects.order_by("started_at").values_list("outcome", flat=True))
        assert selectors.live_version(firm.tenant.id) == versions.second
    assert (said, outcomes) in [
        (["done", "done"], ["withdrawn", "promoted"]),
        (["done", "briefs@2 is not on trial."], ["promoted"]),
    ]
