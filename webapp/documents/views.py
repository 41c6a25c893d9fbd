from __future__ import annotations

import uuid

from django.conf import settings
from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from webapp.core.errors import AppError
from webapp.core.pages import is_fragment, page_of
from webapp.documents import selectors, services
from webapp.tenants.gates import MemberRequest, gate
from webapp.tenants.models import Membership
from webapp.tenants.permissions import Action

PAGE_SIZE = 100
ACCEPTED = ".pdf,.docx,.txt"


@require_safe
@gate(Action.VIEW)
def documents(request: MemberRequest) -> HttpResponse:
    """The firm's documents; for the page's script, the list alone."""
    tenant_id = request.member.tenant_id
    context = {
        "page": page_of(request, selectors.documents(tenant_id), size=PAGE_SIZE),
        "unsettled": selectors.unsettled(tenant_id),
        "counts": selectors.counts(tenant_id),
        "accepted": ACCEPTED,
        "max_bytes": settings.MAX_UPLOAD_BYTES,
        "max_megabytes": settings.MAX_UPLOAD_BYTES // 2**20,
    }
    name = "documents/_list.html" if is_fragment(request) else "documents/documents.html"
    return render(request, name, context)


@require_POST
@gate(Action.UPLOAD)
def upload(request: MemberRequest) -> HttpResponse:
    """Files sent by the page's script, one a request, or by a plain form; a bad one costs itself alone.

    The script gets `{"results": [{"name", "state", "reason"}]}`, a plain form the list with its messages.
    """
    results = [_upload(request.member, file) for file in request.FILES.getlist("file")]
    if _wants_json(request):
        return JsonResponse({"results": results}, status=201 if results else 400)
    if not results:
        messages.error(request, "Choose at least one file first.")
    for result in results:
        if result["reason"]:
            messages.error(request, result["reason"])
    return redirect("documents")


@require_safe
@gate(Action.VIEW)
def document(request: MemberRequest, document_id: uuid.UUID) -> HttpResponse:
    found = selectors.document(request.member.tenant_id, document_id)
    paragraphs = [part for part in selectors.text(found).split("\n\n") if part.strip()]
    return render(request, "documents/document.html", {"document": found, "paragraphs": paragraphs})


@require_POST
@gate(Action.UPLOAD)
def delete(request: MemberRequest, document_id: uuid.UUID) -> HttpResponse:
    found = selectors.document(request.member.tenant_id, document_id)
    try:
        services.delete(member=request.member, document=found)
    except AppError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, f"“{found.name}” is deleted, with the text that was read from it.")
    return redirect("documents")


def _upload(member: Membership, file: UploadedFile[bytes]) -> dict[str, str]:
    # One byte more than allowed is enough for the service to refuse a file that is far larger.
    data = file.read(settings.MAX_UPLOAD_BYTES + 1)
    try:
        found = services.upload(member=member, name=file.name or "", data=data)
    except AppError as error:
        return {"name": file.name or "unnamed", "state": "refused", "reason": error.message}
    return {"name": found.name, "state": found.state, "reason": ""}


def _wants_json(request: HttpRequest) -> bool:
    return "application/json" in request.headers.get("Accept", "")
