from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from webapp.core.errors import AppError
from webapp.datasets import selectors, services
from webapp.tenants.gates import MemberRequest, gate
from webapp.tenants.permissions import Action


@require_POST
@gate(Action.BUILD)
def discard(request: MemberRequest, dataset_id: uuid.UUID) -> HttpResponse:
    found = selectors.dataset(request.member.tenant_id, dataset_id)
    try:
        services.discard(member=request.member, draft=found)
    except AppError as error:
        messages.error(request, error.message)
        return redirect("dataset", dataset_id)
    messages.success(request, "The draft is discarded; the version it began from is as it was.")
    return redirect("dataset", found.parent_id)


@require_POST
@gate(Action.BUILD)
def freeze(request: MemberRequest, dataset_id: uuid.UUID) -> HttpResponse:
    found = selectors.dataset(request.member.tenant_id, dataset_id)
    try:
        services.freeze(member=request.member, draft=found)
    except AppError as error:
        messages.error(request, error.message)
    return redirect("dataset", dataset_id)


@require_POST
@gate(Action.BUILD)
def reopen(request: MemberRequest, dataset_id: uuid.UUID) -> HttpResponse:
    """Go on with a draft that could not be built."""
    found = selectors.dataset(request.member.tenant_id, dataset_id)
    try:
        services.reopen(member=request.member, dataset=found)
    except AppError as error:
        messages.error(request, error.message)
    return redirect("dataset", dataset_id)
