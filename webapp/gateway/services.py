"""API keys made whole: `tenants` knows the secret, this knows what the key may name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from webapp.adapters.models import Adapter, AdapterVersion
from webapp.audit import services as audit
from webapp.core.errors import Invalid
from webapp.core.tenancy import firm_scope
from webapp.gateway.models import KeyAccess, KeyAdapter
from webapp.tenants import services as tenants
from webapp.tenants.models import ApiKey, Membership, Scope
from webapp.tenants.permissions import Action, require


@dataclass(frozen=True)
class Wanted:
    """What a key may name. With neither default the firm's live adapter answers."""

    default_adapter: Adapter | None = None
    default_version: AdapterVersion | None = None
    everything: bool = True
    adapters: tuple[Adapter, ...] = ()
    may_use_base: bool = False


@transaction.atomic
def make_key(
    *,
    member: Membership,
    name: str,
    scopes: Iterable[str] = tuple(Scope),
    expires_at: datetime | None = None,
    wanted: Wanted = Wanted(),
) -> tuple[ApiKey, str]:
    """A key that acts as `member`, and its secret, which is never seen again. Raises Invalid."""
    key, secret = tenants.create_api_key(member=member, name=name, scopes=scopes, expires_at=expires_at)
    access: KeyAccess = KeyAccess.objects.create(tenant_id=key.tenant_id, key=key)
    if wanted != Wanted():
        _apply(member, access, wanted)
    return key, secret


@transaction.atomic
def change_access(*, member: Membership, key: ApiKey, wanted: Wanted, keep_default: bool = False) -> None:
    """Let the key name `wanted` from its next request on; `keep_default` leaves its default as it is.

    Adapters on its list that `member` is screened off stay on it. Raises NotAllowed, Invalid.
    """
    if key.member_id != member.id:
        require(member, Action.MANAGE)
    KeyAccess.objects.get_or_create(tenant_id=key.tenant_id, key=key)
    access = KeyAccess.objects.of(key.tenant_id).select_for_update(no_key=True).get(key=key)
    _apply(member, access, wanted, keep_default=keep_default)


@transaction.atomic
def rotate_key(
    *, member: Membership, key: ApiKey, overlap: timedelta = tenants.OVERLAP
) -> tuple[ApiKey, str]:
    """A key in `key`'s place that may name the same, and its secret, which is never seen again.

    See `tenants.services.rotate_api_key`. Raises NotAllowed, Invalid, Conflict.
    """
    new, secret = tenants.rotate_api_key(member=member, key=key, overlap=overlap)
    old = KeyAccess.objects.of(key.tenant_id).filter(key=key).first()
    if old is not None:
        access: KeyAccess = KeyAccess.objects.create(
            tenant_id=key.tenant_id,
            key=new,
            default_adapter_id=old.default_adapter_id,
            default_version_id=old.default_version_id,
            everything=old.everything,
            may_use_base=old.may_use_base,
        )
        with firm_scope(key.tenant_id):  # the list stays whole for the day that a screen is lifted
            listed = KeyAdapter.objects.of(key.tenant_id).filter(access=old)
            KeyAdapter.objects.bulk_create(
                KeyAdapter(tenant_id=key.tenant_id, access=access, adapter_id=adapter_id)
                for adapter_id in listed.values_list("adapter_id", flat=True)
            )
    return new, secret


def _apply(member: Membership, access: KeyAccess, wanted: Wanted, *, keep_default: bool = False) -> None:
    if wanted.default_adapter and wanted.default_version:
        raise Invalid("One adapter answers by default.", fields={"default": "Choose one adapter or version."})
    if not keep_default:
        access.default_adapter, access.default_version = wanted.default_adapter, wanted.default_version
    access.everything, access.may_use_base = wanted.everything, wanted.may_use_base
    access.save()
    listed = KeyAdapter.objects.of(access.tenant_id).filter(access=access)
    listed.exclude(adapter__in=wanted.adapters).delete()
    there = set(listed.values_list("adapter_id", flat=True))
    KeyAdapter.objects.bulk_create(
        KeyAdapter(tenant_id=access.tenant_id, access=access, adapter=adapter)
        for adapter in wanted.adapters
        if adapter.id not in there
    )
    audit.record(
        tenant_id=access.tenant_id,
        actor=member,
        action="key.access_changed",
        target=access.key,
        default=_kind_of_default(access),
        everything=access.everything,
        may_use_base=access.may_use_base,
        # Ids and no names, and the log hides the event from whoever is screened off one of them.
        about=sorted(
            str(found)
            for found in {
                access.default_adapter_id,
                access.default_version_id,
                *(adapter.id for adapter in wanted.adapters),
            }
            if found
        ),
    )


def _kind_of_default(access: KeyAccess) -> str:
    if access.default_version_id:
        return "version"
    return "adapter" if access.default_adapter_id else "live"
