"""Which of its own adapters a firm's program means."""

from __future__ import annotations

import re
import uuid

from django.db.models import QuerySet

from webapp.adapters import selectors as adapters
from webapp.adapters.models import AdapterVersion, VersionState
from webapp.core.errors import NotFound
from webapp.gateway.errors import ModelNotFound, NoLiveAdapter
from webapp.serving import selectors as serving

NAME = re.compile(r"[a-z0-9-]{1,60}")


def approved(tenant_id: uuid.UUID) -> QuerySet[AdapterVersion]:
    """The versions that programs may name."""
    return adapters.versions(tenant_id).filter(state=VersionState.APPROVED)


def named(tenant_id: uuid.UUID, model: str | None) -> AdapterVersion:
    """The version that `model` means in this firm: None the live one, `name@number` that one, `name` the
    adapter's live version or else its newest approved one.

    Raises NoLiveAdapter, or ModelNotFound for everything that is not an approved version of this firm: the
    base, a candidate and another firm's adapter look the same as a name that never was.
    """
    live = serving.live_version(tenant_id)
    if model is None:
        if live is None:
            raise NoLiveAdapter
        return live
    found: AdapterVersion | None = None
    if NAME.fullmatch(model):
        if live is not None and live.adapter.name == model:
            return live
        found = approved(tenant_id).filter(adapter__name=model).order_by("-number").first()
    elif "@" in model:
        try:
            found = adapters.version_by_label(tenant_id, model)
        except NotFound:
            raise ModelNotFound from None
    if found is None or found.state != VersionState.APPROVED:
        raise ModelNotFound
    return found
