"""The page that answers “what learned from this file?”. It stands here, where it is known what is live."""

from __future__ import annotations

import uuid

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from webapp.documents import selectors as documents
from webapp.serving.lineage import learned_from
from webapp.tenants.gates import MemberRequest, gate
from webapp.tenants.permissions import Action


@require_safe
@gate(Action.VIEW)
def learned(request: MemberRequest, document_id: uuid.UUID) -> HttpResponse:
    document = documents.document(request.member.tenant_id, document_id)
    context = {"document": document, "lineage": learned_from(document)}
    return render(request, "documents/learned.html", context)
