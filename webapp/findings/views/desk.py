"""The redaction desk of one document."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from webapp.core.errors import AppError
from webapp.core.pages import is_fragment, page_of
from webapp.documents import selectors as documents
from webapp.documents.models import Document
from webapp.findings import selectors, services
from webapp.findings.models import FindingKind, FindingState
from webapp.findings.places import places
from webapp.tenants.gates import MemberRequest, gate
from webapp.tenants.permissions import Action

PAGE_SIZE = 25
# The tabs above the findings; the first is where one begins.
STATES = {"": "Open", "settled": "Settled", "all": "All"}
FILTERS = {"": FindingState.OPEN.value, "settled": "settled", "all": ""}


@require_safe
@gate(Action.VIEW)
def desk(request: MemberRequest, document_id: uuid.UUID) -> HttpResponse:
    """The findings of a document in its text, with what to do about each."""
    document = documents.document(request.member.tenant_id, document_id)
    kind, state = request.GET.get("kind", ""), request.GET.get("state", "")
    kind = kind if kind in FindingKind.values else ""
    state = state if state in STATES else ""
    found = selectors.findings_of(document, kind=kind, state=FILTERS[state])
    page = page_of(request, found, size=PAGE_SIZE)
    context = {
        **_tally(document),
        "page": page,
        "places": _places(document, list(page)),
        "kinds": selectors.kinds_of(document),
        "kind": kind,
        "state": state,
        "states": STATES,
        "back": request.GET.urlencode(),
        "keep": _query(kind=kind, state=state),
    }
    return render(request, "findings/desk.html", context)


@require_POST
@gate(Action.REDACT)
def decide(request: MemberRequest, document_id: uuid.UUID, finding_id: uuid.UUID) -> HttpResponse:
    """Decide on one finding, or with “open” undo it; a script gets the finding as it is then."""
    document = documents.document(request.member.tenant_id, document_id)
    finding = selectors.finding(request.member.tenant_id, document_id, finding_id)
    decision = request.POST.get("decision", "")
    if decision == FindingState.OPEN:
        services.undo(member=request.member, findings=[finding])
    else:
        services.decide(member=request.member, findings=[finding], decision=decision)
    if not is_fragment(request):
        return _to_desk(request, document)
    again = selectors.finding(request.member.tenant_id, document_id, finding_id)
    (place,) = _places(document, [again])
    context = {**_tally(document), "place": place, "back": request.POST.get("back", ""), "decided": True}
    return render(request, "findings/_decided.html", context)


@require_POST
@gate(Action.REDACT)
def decide_kind(request: MemberRequest, document_id: uuid.UUID) -> HttpResponse:
    """Decide on every open finding of one kind in the document, or open those of the kind again."""
    document = documents.document(request.member.tenant_id, document_id)
    try:
        changed = services.decide_all(
            member=request.member,
            kind=request.POST.get("kind", ""),
            decision=request.POST.get("decision", ""),
            document_ids=[document.id],
        )
    except AppError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, said(changed, request.POST["decision"]))
    return _to_desk(request, document)


def said(changed: int, decision: str) -> str:
    """What a decision on all of a kind did, in a sentence."""
    if not changed:
        return "Nothing was changed: there was no such finding to decide on."
    what = {
        FindingState.ACCEPTED: "kept",
        FindingState.IGNORED: "set aside as not what they seemed",
        FindingState.REDACTED: "redacted",
        FindingState.OPEN: "opened again",
    }[FindingState(decision)]
    return f"One finding is {what}." if changed == 1 else f"{changed} findings are {what}."


def _tally(document: Document) -> dict[str, Any]:
    return {"document": document, "counts": selectors.counts([document.id])[document.id]}


def _places(document: Document, shown: list[Any]) -> list[Any]:
    if not shown:
        return []
    return places(documents.layout(document), shown, selectors.bare(document))


def _query(**values: str) -> str:
    """What is set, as the beginning of a query string: `kind=phone&`."""
    query = QueryDict(mutable=True)
    query.update({name: value for name, value in values.items() if value})
    return f"{query.urlencode()}&" if query else ""


def _to_desk(request: MemberRequest, document: Document) -> HttpResponseRedirect:
    back = QueryDict(request.POST.get("back", "")).urlencode()
    url = reverse("document-findings", args=[document.id])
    return redirect(f"{url}?{back}" if back else url)
