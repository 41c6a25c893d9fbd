from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from webapp.audit import services as audit
from webapp.core.errors import Conflict, Invalid
from webapp.documents.models import Document
from webapp.tenants.models import Membership
from webapp.tenants.permissions import Action, require


@transaction.atomic
def withdraw(*, member: Membership, document: Document, reason: str) -> None:
    """Nothing new is made from this document any more. Its text stays: it is evidence of what was.

    Raises Invalid without a reason, Conflict for a document that nothing could be made from anyway.
    """
    require(member, Action.UPLOAD)
    if not reason.strip():
        raise Invalid(
            "Say why the document is withdrawn.", fields={"reason": "Write a sentence; it is kept."}
        )
    if document.state not in ("ready", "columns"):
        raise Conflict(f"“{document.name}” is not learned from, so it need not be withdrawn.")
    document.withdrawn_at, document.withdrawn_by = timezone.now(), member
    document.withdrawn_reason = reason.strip()
    _save(document)
    audit.record(
        tenant_id=member.tenant_id,
        actor=member,
        action="document.withdrawn",
        target=document,
        reason=document.withdrawn_reason,
    )


@transaction.atomic
def restore(*, member: Membership, document: Document) -> None:
    """Take a withdrawal back. Raises Conflict for a document that is not withdrawn."""
    require(member, Action.UPLOAD)
    if document.withdrawn_at is None:
        raise Conflict(f"“{document.name}” is not withdrawn.")
    document.withdrawn_at, document.withdrawn_by, document.withdrawn_reason = None, None, ""
    _save(document)
    audit.record(tenant_id=member.tenant_id, actor=member, action="document.restored", target=document)


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
