from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction

from webapp.audit import services as audit
from webapp.documents.locks import one_writer
from webapp.documents.models import Document
from webapp.tenants.models import Matter, Membership
from webapp.tenants.permissions import Action, require


@transaction.atomic
def move(*, member: Membership, documents: Iterable[Document], matter: Matter) -> int:
    """Put documents into another matter; returns how many were not there yet."""
    require(member, Action.UPLOAD)
    one_writer(member.tenant_id)  # an archive that is being unpacked puts its files where it is by then
    moved = 0
    for document in documents:
        if document.matter_id == matter.id:
            continue
        before = document.matter_id
        document.matter = matter
        document.save(update_fields=["matter"])
        audit.record(
            tenant_id=member.tenant_id,
            actor=member,
            action="document.moved",
            target=document,
            before=str(before),
            after=str(matter.id),
        )
        moved += 1
    return moved
