from __future__ import annotations

import pytest

from tests.conftest import Firm
from webapp.audit import selectors as audit
from webapp.core.errors import NotAllowed
from webapp.core.tenancy import tenant_scope
from webapp.tenants import selectors, services
from webapp.tenants.models import ApiKey


def test_a_key_is_found_by_its_secret_alone(firm: Firm) -> None:
    secret = firm.key(firm.alice)
    key = selectors.key_by_secret(secret)
    assert key is not None and key.member_id == firm.alice.id
    assert selectors.key_by_secret(secret + "x") is None


def test_the_secret_is_not_kept(firm: Firm) -> None:
    secret = firm.key(firm.alice)
    with tenant_scope(firm.tenant.id):
        row = ApiKey.objects.values().get()
    assert not any(secret in str(value) for value in row.values())


def test_a_revoked_key_no_longer_exists(firm: Firm) -> None:
    secret = firm.key(firm.alice)
    with tenant_scope(firm.tenant.id):
        services.revoke_api_key(member=firm.alice, key=ApiKey.objects.get())
        assert [event.action for event in audit.events(firm.tenant.id)][:2] == ["key.revoked", "key.created"]
    assert selectors.key_by_secret(secret) is None


def test_only_an_admin_revokes_somebody_elses_key(firm: Firm) -> None:
    firm.key(firm.alice)
    with tenant_scope(firm.tenant.id):
        key = ApiKey.objects.get()
        with pytest.raises(NotAllowed):
            services.revoke_api_key(member=firm.bob, key=key)
        services.revoke_api_key(member=firm.dora, key=key)
        assert ApiKey.objects.get().revoked_at is not None


def test_an_auditor_has_no_keys(firm: Firm) -> None:
    with pytest.raises(NotAllowed):
        firm.key(firm.erin)
