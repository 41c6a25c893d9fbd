from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from django.db.models import Count, Q, QuerySet

from webapp.core.errors import NotFound
from webapp.documents import selectors as documents
from webapp.documents.models import Document
from webapp.findings.models import Finding, FindingKind, FindingState

OPEN = Q(state=FindingState.OPEN)


def findings(tenant_id: uuid.UUID) -> QuerySet[Finding]:
    return Finding.objects.of(tenant_id).select_related("decided_by__user")


def finding(tenant_id: uuid.UUID, document_id: uuid.UUID, finding_id: uuid.UUID) -> Finding:
    """The gate to a finding. Raises NotFound for everybody outside the firm or screened off the matter."""
    found = findings(tenant_id).filter(document_id=document_id, id=finding_id).first()
    if found is None:
        raise NotFound
    return found


def findings_of(document: Document, *, kind: str = "", state: str = "") -> QuerySet[Finding]:
    """A document's findings in the order of its text: all, or of one kind, or in one state.

    `state` may also be `settled`: whatever is no longer open.
    """
    found = findings(document.tenant_id).filter(document=document)
    if kind:
        found = found.filter(kind=kind)
    if state == "settled":
        return found.exclude(OPEN)
    return found.filter(state=state) if state else found


def bare(document: Document) -> QuerySet[Finding]:
    """All findings of a document with nothing but their kinds and places."""
    return Finding.objects.of(document.tenant_id).filter(document=document).only("kind", "start", "end")


def counts(document_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, dict[str, int]]:
    """For each of the documents that the transaction may see, how many findings are `open` and `settled`."""
    wanted = list(document_ids)
    counted = {document_id: {"open": 0, "settled": 0} for document_id in wanted}
    rows = Finding.objects.filter(document_id__in=wanted).order_by().values("document_id")
    for row in rows.annotate(open=Count("id", filter=OPEN), settled=Count("id", filter=~OPEN)):
        counted[row["document_id"]] = {"open": row["open"], "settled": row["settled"]}
    return counted


def open_counts(tenant_id: uuid.UUID, document_ids: Iterable[uuid.UUID] | None = None) -> dict[str, int]:
    """How many findings of each kind are open, in these documents or in all of the firm's; kinds with none
    are left out."""
    rows = Finding.objects.of(tenant_id).filter(OPEN)
    if document_ids is not None:
        rows = rows.filter(document_id__in=list(document_ids))
    return _in_order(rows.order_by().values_list("kind").annotate(n=Count("id")))


def kinds_of(document: Document) -> list[dict[str, Any]]:
    """The kinds found in a document: `kind`, how many are `open` and `settled`."""
    rows = Finding.objects.of(document.tenant_id).filter(document=document).order_by().values("kind")
    counted = {
        row["kind"]: row
        for row in rows.annotate(open=Count("id", filter=OPEN), settled=Count("id", filter=~OPEN))
    }
    return [counted[kind] for kind in FindingKind.values if kind in counted]


def documents_with_open(tenant_id: uuid.UUID, *, kind: str = "") -> QuerySet[Document]:
    """Documents with open findings, those with most first; each has `open_findings`, how many."""
    wanted = Q(findings__state=FindingState.OPEN)
    if kind:
        wanted &= Q(findings__kind=kind)
    found = documents.documents(tenant_id).annotate(open_findings=Count("findings", filter=wanted))
    return found.filter(open_findings__gt=0).order_by("-open_findings", "name", "id")


def open_kinds(document_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, dict[str, int]]:
    """For each document, how many findings of each kind are open."""
    rows = Finding.objects.filter(OPEN, document_id__in=list(document_ids)).order_by()
    counted: dict[uuid.UUID, list[tuple[str, int]]] = {}
    for document_id, kind, n in rows.values_list("document_id", "kind").annotate(n=Count("id")):
        counted.setdefault(document_id, []).append((kind, n))
    return {document_id: _in_order(kinds) for document_id, kinds in counted.items()}


def report(chosen: Iterable[Document]) -> list[dict[str, Any]]:
    """How the findings of documents stand, to be kept with a dataset as JSON: a row for each `document`,
    `kind`, `state` and person (`decided_by`, None while open) with its `count`. No words of the text."""
    order = [document.id for document in chosen]
    rows = (
        Finding.objects.filter(document_id__in=order)
        .order_by()
        .values_list("document_id", "kind", "state", "decided_by__user__email")
        .annotate(n=Count("id"))
    )
    kinds, states = FindingKind.values, FindingState.values
    place = {document_id: at for at, document_id in enumerate(order)}
    return [
        {"document": str(document_id), "kind": kind, "state": state, "count": n, "decided_by": who}
        for document_id, kind, state, who, n in sorted(
            rows, key=lambda row: (place[row[0]], kinds.index(row[1]), states.index(row[2]), row[3] or "")
        )
    ]


def _in_order(counted: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Kinds in the order in which people are shown them."""
    found = dict(counted)
    return {kind: found[kind] for kind in FindingKind.values if kind in found}
