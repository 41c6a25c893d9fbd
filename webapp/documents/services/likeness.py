"""Groups of documents that say almost the same: any two of one are alike, or linked by others that are."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from django.db import transaction

from webapp.core.tenancy import firm_scope
from webapp.documents.locks import one_writer
from webapp.documents.models import Document
from webapp.documents.similarity import NEAR_DUPLICATE, jaccard


@transaction.atomic
def record_likeness(*, document: Document, signature: bytes, bands: Iterable[int]) -> None:
    """Keep a document's signature, and put it into the group of those that it is nearly the same as.

    Where it is like the documents of several groups, these become one.
    """
    one_writer(document.tenant_id)
    document.signature, document.bands = signature, list(bands)
    with firm_scope(document.tenant_id):  # who may see which of them is asked when they are shown
        document.near_duplicates = _group_of(document)
        document.save(update_fields=["signature", "bands", "near_duplicates"])


def _group_of(document: Document) -> uuid.UUID | None:
    rows = Document.objects.of(document.tenant_id).exclude(id=document.id)
    alike = [
        other
        for other in rows.filter(bands__overlap=document.bands)
        .only("id", "signature", "near_duplicates")
        .iterator()
        if jaccard(other.signature, document.signature) >= NEAR_DUPLICATE
    ]
    if not alike:
        return None
    groups = {other.near_duplicates for other in alike if other.near_duplicates}
    group: uuid.UUID = min(groups) if groups else uuid.uuid4()
    rows.filter(near_duplicates__in=groups - {group}).update(near_duplicates=group)
    rows.filter(id__in=[other.id for other in alike]).update(near_duplicates=group)
    return group


@transaction.atomic
def regroup(tenant_id: uuid.UUID, group: uuid.UUID) -> None:
    """Put a group right that lost a document: what only that one linked falls apart."""
    with firm_scope(tenant_id):
        rows = Document.objects.of(tenant_id)
        left = {
            found.id: bytes(found.signature)
            for found in rows.filter(near_duplicates=group).only("id", "signature")
        }
        parts = []
        while left:
            first = next(iter(left))
            parts.append(_linked(first, left))
        for part in sorted(parts, key=len)[:-1]:
            rows.filter(id__in=part).update(near_duplicates=uuid.uuid4())
        for part in parts:
            if len(part) == 1:
                rows.filter(id__in=part).update(near_duplicates=None)


def _linked(first: uuid.UUID, left: dict[uuid.UUID, bytes]) -> list[uuid.UUID]:
    """All that is linked with `first`, by way of others too; taken out of `left`."""
    found, edge = [first], [left.pop(first)]
    while edge:
        at = edge.pop()
        near = [other for other, signature in left.items() if jaccard(at, signature) >= NEAR_DUPLICATE]
        edge += [left.pop(other) for other in near]
        found += near
    return found
