from __future__ import annotations

import uuid

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from webapp.documents import page_images, selectors
from webapp.tenants.gates import MemberRequest, gate
from webapp.tenants.permissions import Action


@require_safe
@gate(Action.VIEW)
def page(request: MemberRequest, document_id: uuid.UUID, number: int) -> HttpResponse:
    """Where a page's picture stands, for the panel beside the text; the first look asks for it."""
    found = selectors.document(request.member.tenant_id, document_id)
    context = {"document": found, "view": page_images.look(found, number)}
    return render(request, "documents/_page_image.html", context)


@require_safe
@gate(Action.VIEW)
def image(request: MemberRequest, document_id: uuid.UUID, number: int) -> HttpResponse:
    """A drawn page as PNG."""
    found = selectors.document(request.member.tenant_id, document_id)
    data = page_images.image(found, number)
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-store"}
    return HttpResponse(data, content_type="image/png", headers=headers)
