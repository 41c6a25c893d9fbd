from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_GET, require_POST, require_safe

from webapp.core.errors import AppError, NotFound
from webapp.core.pages import page_of, show
from webapp.documents import page_images, selectors, services
from webapp.documents.forms import MatterForm, WithdrawForm
from webapp.documents.models import Document
from webapp.documents.reading import sheet
from webapp.tenants import selectors as tenants
from webapp.tenants.gates import MemberRequest, gate
from webapp.tenants.permissions import Action

FIRST_PAIRS = 20
MEMBERS_A_PAGE = 50
NEAR_SHOWN = 10


@require_safe
@gate(Action.VIEW)
def document(request: MemberRequest, document_id: uuid.UUID) -> HttpResponse:
    return _page(request, selectors.document(request.member.tenant_id, document_id), WithdrawForm())


@require_GET
@gate(Action.VIEW)
def original(request: MemberRequest, document_id: uuid.UUID) -> HttpResponse:
    """The file as it was uploaded, to be saved and never shown: what is in it is not ours."""
    found = selectors.document(request.member.tenant_id, document_id)
    services.note_download(member=request.member, document=found)
    return HttpResponse(
        selectors.original(found),
        content_type="application/octet-stream",
        headers={
            "Content-Disposition": content_disposition_header(as_attachment=True, filename=found.name) or "",
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "sandbox; default-src 'none'",
            "Cache-Control": "no-store",
        },
    )


@require_POST
@gate(Action.UPLOAD)
def delete(request: MemberRequest, document_id: uuid.UUID) -> HttpResponse:
    found = selectors.document(request.member.tenant_id, document_id)
    members = len(selectors.inside(found))
    try:
        services.delete(member=request.member, document=found)
    except AppError as error:
        messages.error(request, error.message)
    else:
        came = f" the {members} files that came in it and" if members > 1 else ""
        came = " the file that came in it and" if members == 1 else came
        messages.success(request, f"“{found.name}” is deleted, with{came} the text that was read from it.")
    return redirect("documents")


@require_POST
@gate(Action.UPLOAD)
def withdraw(request: MemberRequest, document_id: uuid.UUID) -> HttpResponse:
    found = selectors.document(request.member.tenant_id, document_id)
    form = WithdrawForm(request.POST)
    if form.is_valid():
        try:
            services.withdraw(member=request.member, document=found, reason=form.cleaned_data["reason"])
        except AppError as error:
            show(error, form)
        else:
            messages.success(request, f"“{found.name}” is withdrawn: no new dataset can be made from it.")
            return redirect("document", found.id)
    return _page(request, found, form)


@require_POST
@gate(Action.UPLOAD)
def restore(request: MemberRequest, document_id: uuid.UUID) -> HttpResponse:
    found = selectors.document(request.member.tenant_id, document_id)
    try:
        services.restore(member=request.member, document=found)
    except AppError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, f"“{found.name}” can be learned from again.")
    return redirect("document", found.id)


@require_POST
@gate(Action.UPLOAD)
def move(request: MemberRequest, document_id: uuid.UUID) -> HttpResponse:
    found = selectors.document(request.member.tenant_id, document_id)
    form = MatterForm(request.POST, tenant_id=request.member.tenant_id)
    if not form.is_valid():
        raise NotFound
    matter = form.cleaned_data["matter"]
    services.move(member=request.member, documents=[found], matter=matter)
    messages.success(request, f"“{found.name}” is now in “{matter}”.")
    return redirect("document", found.id)


def _page(request: MemberRequest, found: Document, form: WithdrawForm) -> HttpResponse:
    tenant_id = request.member.tenant_id
    near = selectors.near_duplicates(found)
    context: dict[str, Any] = {
        "document": found,
        "matters": tenants.matters(tenant_id),
        "members": page_of(request, selectors.members(found), size=MEMBERS_A_PAGE),
        "near": near[:NEAR_SHOWN],
        "near_more": max(0, near.count() - NEAR_SHOWN),
        "form": form,
        "drawn": found.kind in page_images.DRAWN,
    }
    if found.text_name:
        context["sheet"] = sheet(found, request.GET.get("page"))
    if found.pairs:
        context["pairs"] = selectors.first_pairs(found, FIRST_PAIRS)
    return render(request, "documents/document.html", context)
