from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from tests.conftest import Firm
from webapp.audit import selectors as audit
from webapp.core.errors import Conflict, Invalid, NotAllowed
from webapp.core.tenancy import tenant_scope
from webapp.tenants import bearer, selectors, services
from webapp.tenants.keys import digest
from webapp.tenants.models import ApiKey, Scope

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


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


def test_a_key_opens_what_its_scopes_say(firm: Firm) -> None:
    key = bearer.key_behind(firm.key(firm.alice, scopes=["read"]))
    assert key is not None and key.member == firm.alice
    bearer.require_scope(key, Scope.READ)
    for scope in (Scope.WRITE, Scope.COMPLETIONS):
        with pytest.raises(bearer.MissingScope, match=f"lacks the scope “{scope.value}”"):
            bearer.require_scope(key, scope)


def test_a_key_is_made_with_known_scopes_and_an_end_to_come_or_not_at_all(firm: Firm) -> None:
    with tenant_scope(firm.tenant.id):
        for scopes in ([], ["everything"], ["read", "admin"]):
            with pytest.raises(Invalid) as refused:
                services.create_api_key(
                    member=firm.alice, name=" ", scopes=scopes, expires_at=timezone.now() - SECOND
                )
            assert set(refused.value.fields) == {"name", "scopes", "expires_at"}
        assert not ApiKey.objects.exists()


@pytest.mark.parametrize("scopes", [[], ["admin"]], ids=str)
def test_the_database_knows_the_scopes_too(firm: Firm, scopes: list[str]) -> None:
    firm.key(firm.alice)
    with (
        tenant_scope(firm.tenant.id),
        pytest.raises(IntegrityError, match="key_scopes_known"),
        transaction.atomic(),
    ):
        ApiKey.objects.update(scopes=scopes)


def test_an_expired_key_no_longer_exists(firm: Firm) -> None:
    end = timezone.now() + DAY
    secret = firm.key(firm.alice, expires_at=end)
    assert selectors.key_by_secret(secret, at=end - SECOND) is not None
    assert selectors.key_by_secret(secret, at=end) is None
    assert selectors.key_by_secret(firm.key(firm.alice), at=end + 9999 * DAY) is not None


def rotated(firm: Firm, secret: str, overlap: timedelta) -> tuple[ApiKey, ApiKey, str]:
    """The old key and the new one as they are now, and the new one's secret."""
    with tenant_scope(firm.tenant.id):
        old = ApiKey.objects.get(key_hash=digest(secret))
        new, new_secret = services.rotate_api_key(member=firm.alice, key=old, overlap=overlap)
        old.refresh_from_db()
    return old, new, new_secret


def test_two_keys_overlap_while_one_takes_the_others_place(firm: Firm) -> None:
    secret = firm.key(firm.alice, scopes=["completions", "read"])
    before = timezone.now()
    old, new, new_secret = rotated(firm, secret, DAY)
    assert old.expires_at is not None and before + DAY <= old.expires_at <= timezone.now() + DAY
    assert (new.replaces, new.scopes, new.name, new.expires_at) == (old, old.scopes, old.name, None)
    for moment, found in ((old.expires_at - SECOND, old), (old.expires_at, None)):
        assert selectors.key_by_secret(secret, at=moment) == found
        assert selectors.key_by_secret(new_secret, at=moment) == new
    with tenant_scope(firm.tenant.id):
        event = audit.events(firm.tenant.id)[0]
    assert (event.action, event.data["replaces"]) == ("key.rotated", str(old.id))


def test_without_an_overlap_the_old_key_ends_at_once(firm: Firm) -> None:
    secret = firm.key(firm.alice)
    _, new, new_secret = rotated(firm, secret, timedelta())
    assert selectors.key_by_secret(secret) is None
    assert selectors.key_by_secret(new_secret) == new


def test_the_new_key_lasts_as_long_as_the_old_was_made_for_which_never_outlives_its_end(firm: Firm) -> None:
    end = timezone.now() + DAY
    old, new, _ = rotated(firm, firm.key(firm.alice, expires_at=end), 7 * DAY)
    assert old.expires_at == end, "an overlap lengthens nothing"
    assert new.lifetime is not None and abs(new.lifetime - DAY) < timedelta(minutes=1)


def test_a_key_is_replaced_once_and_only_while_it_opens_something(firm: Firm) -> None:
    with tenant_scope(firm.tenant.id):
        key, _ = services.create_api_key(member=firm.alice, name="a program")
        new, _ = services.rotate_api_key(member=firm.alice, key=key)
        with pytest.raises(Conflict, match="replaced already"):
            services.rotate_api_key(member=firm.alice, key=key)
        services.revoke_api_key(member=firm.alice, key=new)
        with pytest.raises(Conflict, match="make a new key"):
            services.rotate_api_key(member=firm.alice, key=new)


def test_only_the_person_as_whom_a_key_acts_gets_the_new_secret(firm: Firm) -> None:
    """Whoever has it sees what they see, past every screen: an admin may end a key and not take it over."""
    with tenant_scope(firm.tenant.id):
        key, _ = services.create_api_key(member=firm.alice, name="a program")
        for member in (firm.bob, firm.dora):
            with pytest.raises(NotAllowed, match="you can revoke it"):
                services.rotate_api_key(member=member, key=key)


@pytest.mark.parametrize("overlap", [-SECOND, 31 * DAY], ids=str)
def test_an_overlap_has_bounds(firm: Firm, overlap: timedelta) -> None:
    with tenant_scope(firm.tenant.id):
        key, _ = services.create_api_key(member=firm.alice, name="a program")
        with pytest.raises(Invalid) as refused:
            services.rotate_api_key(member=firm.alice, key=key, overlap=overlap)
    assert set(refused.value.fields) == {"overlap"}
