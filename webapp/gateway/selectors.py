"""Which models a key's program may name, and which one it means.

To a key there are: the bare name of an adapter (its live version, or else its newest approved one), each
approved version as `name@number`, and the base where the key allows it. Left out, empty or “default” means
the key's default, and “live” the firm's live one. Everything else does not exist, whoever else may have it.

All of it is read in the scope of the key's member: what they are screened off is not there either.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.db.models import Prefetch, Q, QuerySet

from webapp.adapters import selectors as adapters
from webapp.adapters.models import Adapter, AdapterVersion, VersionState
from webapp.core import rows
from webapp.gateway.errors import ModelNotFound, NoDefaultAdapter, NoLiveAdapter
from webapp.gateway.models import KeyAccess, KeyAdapter
from webapp.gateway.requests import Ask
from webapp.serving.routing import choose, what_is_open
from webapp.tenants.models import ApiKey

BASE = "base"
LIVE = "live"
# As bare names these mean something of their own, whatever adapters a firm has.
RESERVED = frozenset({BASE, LIVE, "default"})
NAME = re.compile(r"[a-z0-9-]{1,60}")


@dataclass(frozen=True)
class Resolved:
    """What answers a request: `version`, or the base where it is None, under the name `label`. `shadow`
    answers a copy of it, for nobody to read."""

    version: AdapterVersion | None
    shadow: AdapterVersion | None
    label: str


def approved(tenant_id: uuid.UUID) -> QuerySet[AdapterVersion]:
    """The versions that programs may name, with what the engine asks of one: the joins of a page would take
    PostgreSQL ten times as long to plan, for every request."""
    versions = adapters.versions(tenant_id).select_related(None).select_related("adapter", "run")
    return versions.filter(state=VersionState.APPROVED)


def offered(tenant_id: uuid.UUID) -> QuerySet[Adapter]:
    """The adapters with an approved version."""
    return adapters.adapters(tenant_id).filter(versions__in=approved(tenant_id)).distinct()


def access(key: ApiKey) -> KeyAccess | None:
    """What the key may name; None for one that may name nothing."""
    sql = "SELECT {a} FROM gateway_keyaccess a WHERE tenant_id = %(tenant)s AND key_id = %(key)s"
    found = rows.one(sql, {"tenant": key.tenant_id, "key": key.id}, a=KeyAccess)
    return found[0] if found else None


def named(found: KeyAccess) -> QuerySet[Adapter]:
    """The adapters on the key's own list."""
    listed = KeyAdapter.objects.of(found.tenant_id).filter(access=found)
    return adapters.adapters(found.tenant_id).filter(id__in=listed.values("adapter"))


def resolve(key: ApiKey, ask: Ask) -> Resolved:
    """What answers the request `ask` of `key`'s program.

    Raises ModelNotFound for everything that the key may not name: the base, a candidate and another firm's
    adapter look the same as a name that never was. Raises NoLiveAdapter, NoDefaultAdapter.
    """
    allowed = access(key)
    if allowed is None:
        raise ModelNotFound
    if ask.model is None:
        return _default(allowed, ask)
    if ask.model == BASE:
        if not allowed.may_use_base:
            raise ModelNotFound
        return Resolved(None, None, BASE)
    if ask.model == LIVE:
        return _live(allowed, ask)
    adapter_name, _, _ = ask.model.partition("@")
    if not NAME.fullmatch(adapter_name):
        raise ModelNotFound
    return _of(names(allowed, adapter__name=adapter_name).get(ask.model))


def cards(key: ApiKey) -> list[dict[str, Any]]:
    """What GET /v1/models lists: exactly the names that `resolve` takes, but for its words without a name."""
    allowed = access(key)
    if allowed is None:
        return []
    live = what_is_open(key.tenant_id).live
    listed = [_card(key, name, version, live) for name, version in names(allowed).items()]
    return listed + ([_card(key, BASE, None, live)] if allowed.may_use_base else [])


def names(allowed: KeyAccess, **which: Any) -> dict[str, AdapterVersion]:
    """Every name of an adapter or version that may be named, and the version it means; with a filter, of
    those versions only."""
    live = what_is_open(allowed.tenant_id).live
    whole = None if allowed.everything else _whole(allowed)
    versions = _nameable(allowed, whole, live).filter(**which).order_by("adapter__name", "-number")
    found: dict[str, AdapterVersion] = {}
    for name, group in groupby(versions, key=lambda version: version.adapter.name):
        own = list(group)
        bare = _bare(own, whole, live)
        if bare is not None and name not in RESERVED:
            found[name] = bare
        found |= {str(version): version for version in own}
    return found


def _whole(allowed: KeyAccess) -> set[uuid.UUID]:
    """The adapters all of whose approved versions the key may name."""
    listed = KeyAdapter.objects.of(allowed.tenant_id).filter(access=allowed)
    default = {allowed.default_adapter_id} if allowed.default_adapter_id else set()
    return default | set(listed.values_list("adapter_id", flat=True))


def _nameable(
    allowed: KeyAccess, whole: set[uuid.UUID] | None, live: AdapterVersion | None
) -> QuerySet[AdapterVersion]:
    """The approved versions that may be named."""
    versions = approved(allowed.tenant_id)
    if whole is None:
        return versions
    single = allowed.default_version_id
    if _is_live_by_default(allowed) and live is not None:
        single = live.id  # it answers anyway, so it may be called by its name
    return versions.filter(Q(adapter__in=whole) | Q(id=single))


def _bare(
    own: list[AdapterVersion], whole: set[uuid.UUID] | None, live: AdapterVersion | None
) -> AdapterVersion | None:
    """What an adapter's bare name means of its versions, the newest first: its live one, or else the newest
    where all of them may be named."""
    if live in own:
        return live
    return own[0] if whole is None or own[0].adapter_id in whole else None


def _default(allowed: KeyAccess, ask: Ask) -> Resolved:
    if _is_live_by_default(allowed):
        return _routed(allowed, ask)
    if allowed.default_version_id:
        found = approved(allowed.tenant_id).filter(id=allowed.default_version_id).first()
    else:
        live = what_is_open(allowed.tenant_id).live
        own = approved(allowed.tenant_id).filter(adapter=allowed.default_adapter_id).order_by("-number")
        found = live if live in own else own.first()
    if found is None:
        raise NoDefaultAdapter
    return _of(found)


def _live(allowed: KeyAccess, ask: Ask) -> Resolved:
    if allowed.everything or _is_live_by_default(allowed):
        return _routed(allowed, ask)
    live = what_is_open(allowed.tenant_id).live
    if live is None:
        raise ModelNotFound
    return _of(names(allowed, id=live.id).get(str(live)))


def _routed(allowed: KeyAccess, ask: Ask) -> Resolved:
    routed = choose(allowed.tenant_id, by=ask.user)
    if routed.version is None:
        raise NoLiveAdapter
    return Resolved(routed.version, routed.shadow, str(routed.version))


def _is_live_by_default(allowed: KeyAccess) -> bool:
    return allowed.default_adapter_id is None and allowed.default_version_id is None


def _of(version: AdapterVersion | None) -> Resolved:
    if version is None:
        raise ModelNotFound
    return Resolved(version, None, str(version))


def _card(
    key: ApiKey, name: str, version: AdapterVersion | None, live: AdapterVersion | None
) -> dict[str, Any]:
    """OpenAI's model object, with `version`, which the name means now, and whether that is live."""
    return {
        "id": name,
        "object": "model",
        "created": int((version.created_at if version else key.member.tenant.created_at).timestamp()),
        "owned_by": key.member.tenant.name,
        "version": str(version) if version else None,
        "live": version is not None and version == live,
    }


def accesses(tenant_id: uuid.UUID, keys: Iterable[ApiKey]) -> dict[uuid.UUID, KeyAccess]:
    """What each of these keys may name, by the key's id, with the adapters that the viewer may know of."""
    found = (
        KeyAccess.objects.of(tenant_id)
        .filter(key__in=keys)
        .select_related("default_adapter", "default_version__adapter")
        .prefetch_related(
            Prefetch("named", KeyAdapter.objects.select_related("adapter").order_by("adapter__name"))
        )
    )
    return {row.key_id: row for row in found}
