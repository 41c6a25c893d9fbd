from __future__ import annotations

import uuid

from django.db.models import QuerySet

from webapp.audit.models import Event
from webapp.audit.services import FIRST, digest


def events(tenant_id: uuid.UUID) -> QuerySet[Event]:
    """The firm's events, newest first."""
    return Event.objects.of(tenant_id)


def first_broken(tenant_id: uuid.UUID) -> int | None:
    """The number of the first event that does not fit the chain, or None when the chain is whole."""
    previous, expected = FIRST, 1
    for event in Event.objects.of(tenant_id).order_by("number").iterator():
        if event.number != expected or event.previous != previous or event.digest != digest(event):
            return expected
        previous, expected = event.digest, expected + 1
    return None
