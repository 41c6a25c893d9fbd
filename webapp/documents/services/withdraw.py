from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from webapp.audit import services as audit
from webapp.core.errors import Conflict, Invalid
from webapp.documents import selectors
from webapp.documents.locks import one_writer
from webapp.documents.models import Document
from webapp.tenants.models import Membership
from webapp.tenants.permissions import Action, require

# Something can be learned from these, now or as soon as they are read.
_LEARNABLE = ("ready", "columns", "queued", "reading")


@transaction.atomic
def withdraw(*, member: Membership, document: Document, reason: str) -> None:
    """Nothing new is made from this document any more, nor from what came in it: an archive's files, an
    e-mail's attachments, those still being read as well. The text stays: it is evidence of what was.

    Raises Invalid without a reason, Conflict for a document that is withdrawn already or that nothing could
    be made from anyway.
    """
    require(member, Action.UPLOAD)
    if not reason.strip():
        raise Invalid(
            "Say why the document is withdrawn.", fields={"reason": "Write a sentence; it is kept."}
        )
    one_writer(member.tenant_id)  # what is being unpacked right now goes with it: see `add_members`
    if document.withdrawn_at is not None:
        raise Conflict(f"“{document.name}” is withdrawn already.")
    whole = [found for found in (document, *selectors.inside(document)) if found.withdrawn_at is None]
    if not any(found.state in _LEARNABLE for found in whole):
        raise Conflict(f"“{document.name}” is not learned from, so it need not be withdrawn.")
    at = timezone.now()
    for found in whole:
        if found.state in (*_LEARNABLE, "opened"):
            withdraw_one(document=found, at=at, by=member, reason=reason.strip())


def withdraw_one(*, document: Document, at: datetime, by: Membership, reason: str) -> None:
    """Withdraw a document alone. Those with the same `at` are taken back together."""
    document.withdrawn_at, document.withdrawn_by, document.withdrawn_reason = at, by, reason
    _save(document)
    audit.record(
        tenant_id=document.tenant_id, actor=by, action="document.withdrawn", target=document, reason=reason
    )


@transaction.atomic
def restore(*, member: Membership, document: Document) -> None:
    """Take a withdrawal back, for what was withdrawn with the document too; what came in it and had been
    withdrawn for a reason of its own stays so. Raises Conflict when the document is not withdrawn."""
    require(member, Action.UPLOAD)
    one_writer(member.tenant_id)
    at = document.withdrawn_at
    if at is None:
        raise Conflict(f"“{document.name}” is not withdrawn.")
    for found in (document, *selectors.inside(document)):
        if found.withdrawn_at == at:
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
