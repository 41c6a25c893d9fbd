"""What a trial's two versions answered meanwhile, counted from the firm's usage."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from tests.conftest import Firm
from tests.release.conftest import Versions
from webapp.adapters.models import AdapterVersion
from webapp.core.tenancy import tenant_scope
from webapp.serving import rollouts
from webapp.serving.models import Rollout
from webapp.usage.models import UsageRow
from webapp.usage.trials import answered

pytestmark = pytest.mark.django_db


def used(firm: Firm, version: AdapterVersion, ending: str, *, duration: int = 0, ago: int = 0) -> None:
    """One request, `ago` minutes before now."""
    at = timezone.now() - timedelta(minutes=ago)
    UsageRow.objects.create(
        tenant=firm.tenant,
        member=firm.alice,
        version=version,
        source="chat",
        started_at=at,
        lease_until=at,
        status=None if not ending else 200,
        ending=ending,
        duration_ms=duration or None,
    )


@pytest.fixture
def trial(firm: Firm, versions: Versions) -> Rollout:
    with tenant_scope(firm.tenant.id):
        used(firm, versions.first, "answered", duration=9000, ago=5)  # before the trial
        trial = rollouts.send_share(member=firm.bob, version=versions.second, share=25)
        for duration in (100, 200, 600):
            used(firm, versions.second, "answered", duration=duration)
        used(firm, versions.first, "answered", duration=400)
        for ending in ("failed", "broken_off", "left", "refused", ""):
            used(firm, versions.first, ending)
    return trial


def test_each_version_is_counted_from_the_trials_beginning_to_its_end(
    firm: Firm, versions: Versions, trial: Rollout
) -> None:
    with tenant_scope(firm.tenant.id):
        rollouts.withdraw(member=firm.bob, version=versions.second)
        used(firm, versions.second, "answered", duration=9000)  # after it
        trial.refresh_from_db()
        rows = [(str(row.version), row.answered, row.errors, row.median) for row in answered(trial)]
    assert rows == [("briefs@2", 3, 0, 200), ("briefs@1", 1, 2, 400)]


def test_the_page_asks_for_it(
    firm: Firm, versions: Versions, trial: Rollout, signed_in: Callable[..., Client]
) -> None:
    client = signed_in(firm.erin)
    page = client.get(f"/adapters/versions/{versions.second.id}/").content.decode()
    path = f"/adapters/versions/{versions.second.id}/answered/"
    assert f'hx-get="{path}" hx-trigger="load, every 10s"' in page
    part = client.get(path).content.decode()
    assert '<td class="num">3</td>' in part and "200 ms" in part and "briefs@1" in part
    never = client.get(f"/adapters/versions/{versions.first.id}/answered/").content.decode()
    assert never.strip() == "", "it was never on trial"
