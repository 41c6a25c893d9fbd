from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from webapp.audit import services as audit
from webapp.core.errors import Conflict, Invalid
from webapp.documents import selectors
from webapp.documents.models import Document
from webapp.tenants.models import Membership
from webapp.tenants.permissions import Action, require


@transaction.atomic
def withdraw(*, member: Membership, document: Document, reason: str) -> None:
    """Nothing new is made from this document any more, nor from what came in it: an archive's files, an
    e-mail's attachments. The text stays: it is evidence of what was.

    Raises Invalid without a reason, Conflict for a document that nothing could be made from anyway.
    """
    require(member, Action.UPLOAD)
    if not reason.strip():
        raise Invalid(
            "Say why the document is withdrawn.", fields={"reason": "Write a sentence; it is kept."}
        )
    whole = [document, *selectors.inside(document)]
    learned_from = [found for found in whole if found.state in ("ready", "columns")]
    if not learned_from:
        raise Conflict(f"“{document.name}” is not learned from, so it need not be withdrawn.")
    for found in learned_from:
        found.withdrawn_at, found.withdrawn_by = timezone.now(), member
        found.withdrawn_reason = reason.strip()
        _save(found)
        audit.record(
            tenant_id=member.tenant_id,
            actor=member,
            action="document.withdrawn",
            target=found,
            reason=found.withdrawn_reason,
        )


@transaction.atomic
def restore(*, member: Membership, document: Document) -> None:
    """Take a withdrawal back, for what came in the document too. Raises Conflict when none was withdrawn."""
    require(member, Action.UPLOAD)
    withdrawn = [found for found in (document, *selectors.inside(document)) if found.withdrawn_at is not None]
    if not withdrawn:
        raise Conflict(f"“{document.name}” is not withdrawn.")
    for found in withdrawn:
        found.withdrawn_at, found.withdrawn_by, found.withdrawn_reason = None, None, ""
        _save(found)
        audit.record(tenant_id=member.tenant_id, actor=member, action="document.restored", target=found)


def note_download(*, member: Membership, document: Document) -> None:
    """An original left the product."""
    require(member, Action.VIEW)
    audit.record(
        tenant_id=member.tenant_id,
        actor=member,
        action="document.downloaded",
        target=document,
        sha256=document.sha256,
    )


def _save(document: Document) -> None:
    document.save(update_fields=["withdrawn_at", "withdrawn_by", "withdrawn_reason"])
