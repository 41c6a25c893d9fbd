from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction

from webapp.audit import services as audit
from webapp.core.errors import Invalid
from webapp.documents import selectors
from webapp.documents.locks import one_writer
from webapp.documents.models import Document
from webapp.documents.services.upload import clean_name, keep
from webapp.documents.services.withdraw import withdraw_one

MOST_FILES = 2000  # of one upload: an archive of archives would fill the queue otherwise


@transaction.atomic
def add_members(*, document: Document, files: Iterable[tuple[str, bytes]]) -> None:
    """Make documents of the files, `(name, bytes)`, that lay in an archive or were attached to an e-mail.

    Each belongs to the same matter, is read by a job of its own, and is withdrawn if `document` was
    meanwhile. Bytes that the uploader can see among the firm's documents already, or that lie in it twice,
    are counted in `document.already_here` and not added.

    Raises Invalid when more files come in one upload than one may hold, archives in it included.
    """
    one_writer(document.tenant_id)
    document.refresh_from_db(fields=["matter", "withdrawn_at", "withdrawn_by", "withdrawn_reason"])
    room = MOST_FILES - selectors.came_along(document)
    member = document.uploaded_by
    member.tenant = document.tenant
    added: list[Document] = []
    already_here = 0
    for name, data in files:
        if data and selectors.same_bytes(member, selectors.digest(data)) is not None:
            already_here += 1
            continue
        if len(added) == room:
            raise Invalid(
                f"More than {MOST_FILES:,} files came in one upload; split the archive and send its parts.",
                code="too_complex",
            )
        added.append(
            keep(member=member, name=clean_name(name), data=data, matter=document.matter, parent=document)
        )
    document.already_here = already_here
    document.save(update_fields=["already_here"])
    audit.record(
        tenant_id=document.tenant_id,
        actor=None,
        action="document.opened",
        target=document,
        documents=[{"id": str(found.id), "sha256": found.sha256} for found in added],
        already_here=already_here,
    )
    if document.withdrawn_at is not None and document.withdrawn_by is not None:
        for found in added:
            withdraw_one(
                document=found,
                at=document.withdrawn_at,
                by=document.withdrawn_by,
                reason=document.withdrawn_reason,
            )
