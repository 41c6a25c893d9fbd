"""The decision on a version. The pages that show adapters stand in `serving`, which knows what is live."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from webapp.adapters import selectors, services
from webapp.adapters.forms import DecisionForm
from webapp.adapters.models import Decision
from webapp.core.errors import AppError
from webapp.tenants.gates import MemberRequest, gate
from webapp.tenants.permissions import Action


@require_POST
@gate(Action.APPROVE)
def decide(request: MemberRequest, version_id: uuid.UUID) -> HttpResponse:
    version = selectors.version(request.member.tenant_id, version_id)
    form = DecisionForm(request.POST)
    form.is_valid()
    try:
        approval = services.decide(member=request.member, version=version, **form.cleaned_data)
    except AppError as error:
        messages.error(request, " ".join(error.fields.values()) or error.message)
    else:
        messages.success(request, f"{version} is {Decision(approval.decision).label.lower()}.")
    return redirect("version", version_id)
