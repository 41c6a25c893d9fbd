from __future__ import annotations

import hashlib
import json
import uuid
from typing import Any, Protocol

from django.db import connection, models
from django.utils import timezone

from webapp.audit.models import Event

FIRST = "0" * 64


class Actor(Protocol):
    """Who did it. A membership is one: audit stands below tenants, so that changes to people are audited."""

    @property
    def label(self) -> str: ...


def record(
    *, tenant_id: uuid.UUID, actor: Actor | None, action: str, target: models.Model, **data: Any
) -> Event:
    """Append one event to the firm's chain, in the caller's transaction: both happen or neither does.

    `data` must be JSON and must not hold a document's or a prompt's text.
    """
    with connection.cursor() as cursor:  # one writer at a time per firm, or two events would share a number
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"audit:{tenant_id}"])
    last = Event.objects.of(tenant_id).order_by("-number").first()
    event = Event(
        tenant_id=tenant_id,
        number=last.number + 1 if last else 1,
        at=timezone.now(),
        actor=actor.label if actor else "system",
        action=action,
        object_type=target._meta.model_name or "",
        object_id=str(target.pk),
        data=data,
        previous=last.digest if last else FIRST,
    )
    event.digest = digest(event)
    event.save(force_insert=True)
    return event


def digest(event: Event) -> str:
    """The SHA-256 over everything the event says and the digest before it."""
    said = [
        event.previous,
        str(event.tenant_id),
        event.number,
        event.at.isoformat(),
        event.actor,
        event.action,
        event.object_type,
        event.object_id,
        event.data,
    ]
    return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
