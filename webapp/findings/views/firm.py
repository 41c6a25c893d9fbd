"""Findings all over the firm: which documents wait for a decision, and one decision for all of a kind."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from webapp.core.errors import AppError
from webapp.core.pages import page_of
from webapp.findings import selectors, services
from webapp.findings.models import FindingKind
from webapp.findings.views.desk import said
from webapp.tenants.gates import MemberRequest, gate
from webapp.tenants.permissions import Action

PAGE_SIZE = 50


@require_safe
@gate(Action.VIEW)
def findings(request: MemberRequest) -> HttpResponse:
    """The documents with open findings, and how many of each kind are open in the firm."""
    tenant_id = request.member.tenant_id
    kind = request.GET.get("kind", "")
    kind = kind if kind in FindingKind.values else ""
    page = page_of(request, selectors.documents_with_open(tenant_id, kind=kind), size=PAGE_SIZE)
    kinds = selectors.open_kinds([document.id for document in page])
    context = {
        "page": page,
        "rows": [(document, kinds.get(document.id, {})) for document in page],
        "kinds": selectors.open_counts(tenant_id),
        "kind": kind,
        "keep": f"kind={kind}&" if kind else "",
    }
    return render(request, "findings/findings.html", context)


@require_POST
@gate(Action.REDACT)
def decide(request: MemberRequest) -> HttpResponse:
    """Decide on every open finding of one kind in all documents that the member may see."""
    try:
        changed = services.decide_all(
            member=request.member,
            kind=request.POST.get("kind", ""),
            decision=request.POST.get("decision", ""),
        )
    except AppError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, said(changed, request.POST["decision"]))
    return redirect("findings")
