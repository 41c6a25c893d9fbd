from __future__ import annotations

import uuid
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from webapp.audit import services as audit
from webapp.core.errors import Invalid, NotFound
from webapp.documents import selectors
from webapp.documents.layout import Layout
from webapp.documents.models import Document
from webapp.findings import recognisers
from webapp.findings.models import Finding, FindingKind, FindingState
from webapp.tenants.models import Membership
from webapp.tenants.permissions import Action, require

BATCH = 1000
DECISIONS = (FindingState.ACCEPTED, FindingState.IGNORED, FindingState.REDACTED)


@transaction.atomic
def scan(*, document: Document, layout: Layout) -> int:
    """Keep what a lawyer must be warned of in a document that was read; returns how many findings it has.

    Done again, it keeps what was decided, adds what is new and removes what is no longer there.
    """
    # One at a time: two that look at once, a reading and a build, would each add the same.
    list(Document.objects.of(document.tenant_id).filter(id=document.id).select_for_update(no_key=True))
    wanted = {_place(finding): finding for finding in _look(document, layout)}
    kept = Finding.objects.of(document.tenant_id).filter(document=document)
    there = {_place(finding): finding.pk for finding in kept}
    kept.filter(pk__in=[pk for place, pk in there.items() if place not in wanted]).delete()
    new = [finding for place, finding in wanted.items() if place not in there]
    Finding.objects.bulk_create(new, batch_size=BATCH)
    return len(wanted)


@transaction.atomic
def decide(*, member: Membership, findings: Iterable[Finding] | Iterable[uuid.UUID], decision: str) -> int:
    """Accept, ignore or redact findings, whatever was decided before; returns how many changed.

    Raises NotAllowed, Invalid for another decision, NotFound when one is not the firm's.
    """
    require(member, Action.REDACT)
    _check_decision(decision, DECISIONS)
    chosen = _chosen(member, findings)
    return _record(member, chosen.exclude(state=decision), FindingState(decision))


@transaction.atomic
def undo(*, member: Membership, findings: Iterable[Finding] | Iterable[uuid.UUID]) -> int:
    """Open findings again; returns how many were not. Raises NotAllowed, NotFound."""
    require(member, Action.REDACT)
    return _record(member, _chosen(member, findings).exclude(state=FindingState.OPEN), FindingState.OPEN)


@transaction.atomic
def decide_all(
    *,
    member: Membership,
    kind: str,
    decision: str,
    document_ids: Iterable[uuid.UUID] | None = None,
) -> int:
    """Decide on every open finding of one kind, in these documents or in all that the member may see; with
    the decision “open”, undo every decision on that kind there. Returns how many changed.

    What somebody decided one by one before stays as it is. Raises NotAllowed, Invalid.
    """
    require(member, Action.REDACT)
    _check_decision(decision, (*DECISIONS, FindingState.OPEN))
    if kind not in FindingKind.values:
        raise Invalid("Choose a kind of finding.", fields={"kind": "There is no such kind of finding."})
    chosen = Finding.objects.of(member.tenant_id).filter(kind=kind)
    if document_ids is not None:
        chosen = chosen.filter(document_id__in=list(document_ids))
    if decision == FindingState.OPEN:
        return _record(member, chosen.exclude(state=FindingState.OPEN), FindingState.OPEN)
    return _record(member, chosen.filter(state=FindingState.OPEN), FindingState(decision))


def _look(document: Document, layout: Layout) -> Iterator[Finding]:
    for number, mark in enumerate(layout.marks):
        yield Finding(
            tenant_id=document.tenant_id,
            document=document,
            kind=FindingKind(mark.kind),
            start=mark.start,
            end=mark.end,
            page=mark.page,
            mark=number,
        )
    starts = layout.starts()
    for found in recognisers.find(layout.text):
        yield Finding(
            tenant_id=document.tenant_id,
            document=document,
            kind=found.kind,
            start=found.start,
            end=found.end,
            page=layout.blocks[bisect_right(starts, found.start) - 1].page,
        )


def _place(finding: Finding) -> tuple[str, int, int, int | None]:
    return (finding.kind, finding.start, finding.end, finding.mark)


def _check_decision(decision: str, known: Iterable[str]) -> None:
    if decision not in known:
        raise Invalid(
            "Decide “accepted”, “ignored” or “redacted”.",
            fields={"decision": "Choose “accepted”, “ignored” or “redacted”."},
        )


def _chosen(member: Membership, findings: Iterable[Finding] | Iterable[uuid.UUID]) -> QuerySet[Finding]:
    """The findings of the member's firm. Raises NotFound when one of them is not."""
    wanted = {finding.pk if isinstance(finding, Finding) else finding for finding in findings}
    found: QuerySet[Finding] = Finding.objects.of(member.tenant_id).filter(pk__in=wanted)
    if found.count() != len(wanted):
        raise NotFound
    return found


def _record(member: Membership, chosen: QuerySet[Finding], state: FindingState) -> int:
    """Bring findings into `state`, with an event for each document and kind. Only counts are written down."""
    rows = list(chosen.order_by("pk").only("document_id", "kind").select_for_update())
    opened = state == FindingState.OPEN
    Finding.objects.of(member.tenant_id).filter(pk__in=[row.pk for row in rows]).update(
        state=state,
        decided_by=None if opened else member,
        decided_at=None if opened else timezone.now(),
    )
    counted = Counter((row.document_id, row.kind) for row in rows)
    documents = selectors.documents(member.tenant_id).in_bulk({document_id for document_id, _ in counted})
    for (document_id, kind), count in counted.items():
        audit.record(
            tenant_id=member.tenant_id,
            actor=member,
            action="findings.reopened" if opened else "findings.decided",
            target=documents[document_id],
            kind=kind,
            count=count,
            decision=str(state),
        )
    return len(rows)
