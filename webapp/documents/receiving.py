"""What becomes of a file that a browser has sent, in the words that its sender reads."""

from __future__ import annotations

from django.urls import reverse

from webapp.core.errors import AppError
from webapp.documents import services
from webapp.tenants.models import Matter, Membership


def receive(member: Membership, name: str, data: bytes, matter: Matter | None = None) -> dict[str, str]:
    """Keep a file: `{"name", "state", "reason", "url"}`.

    `state` is the document's, or "duplicate" when the same bytes are here already, or "refused"; the last two
    have a `reason`, one sentence. `url` is the page of the document that has these bytes, empty when refused.
    """
    try:
        found = services.upload(member=member, name=name, data=data, matter=matter)
    except services.Duplicate as same:
        url = reverse("document", args=[same.document.id])
        return {"name": name or "unnamed", "state": "duplicate", "reason": same.message, "url": url}
    except AppError as error:
        return {"name": name or "unnamed", "state": "refused", "reason": error.message, "url": ""}
    return {
        "name": found.name,
        "state": found.state,
        "reason": "",
        "url": reverse("document", args=[found.id]),
    }
