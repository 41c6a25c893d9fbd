from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.conftest import Firm
from tests.factories import approved
from webapp.adapters.models import AdapterVersion
from webapp.core.tenancy import tenant_scope
from webapp.serving import services


@dataclass(frozen=True)
class Versions:
    """Two approved versions of one adapter and dataset, `first` live and `second` to be tried."""

    first: AdapterVersion
    second: AdapterVersion


@pytest.fixture
def versions(firm: Firm) -> Versions:
    first = approved(firm, by=firm.alice, approver=firm.bob)
    second = approved(firm, by=firm.alice, approver=firm.bob, dataset=first.run.dataset)
    made = Versions(first, second)
    with tenant_scope(firm.tenant.id):
        services.put_live(member=firm.bob, version=made.first)
    return made


def another(firm: Firm, versions: Versions) -> AdapterVersion:
    """One more approved version of the same adapter."""
    return approved(firm, by=firm.alice, approver=firm.bob, dataset=versions.first.run.dataset)
