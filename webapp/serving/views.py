"""Pages of adapters: what there is, what speaks for a version, and what is live."""

from __future__ import annotations

import uuid
from itertools import groupby

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from webapp.adapters import selectors as adapter_versions
from webapp.adapters.forms import DecisionForm
from webapp.core.errors import AppError
from webapp.datasets import selectors as datasets
from webapp.serving import selectors, services
from webapp.tenants.gates import MemberRequest, gate
from webapp.tenants.permissions import Action


@require_safe
@gate(Action.VIEW)
def adapters(request: MemberRequest) -> HttpResponse:
    """Every adapter with its versions, the newest version first."""
    tenant_id = request.member.tenant_id
    rows = adapter_versions.versions(tenant_id).order_by("adapter__name", "-number")
    groups = [(name, list(versions)) for name, versions in groupby(rows, key=lambda row: row.adapter.name)]
    context = {"adapters": groups, "live": selectors.live(tenant_id)}
    return render(request, "adapters/adapters.html", context)


@require_safe
@gate(Action.VIEW)
def version(request: MemberRequest, version_id: uuid.UUID) -> HttpResponse:
    """The evidence for a version, the decision on it, and whether it is live."""
    tenant_id = request.member.tenant_id
    found = adapter_versions.version(tenant_id, version_id)
    live = selectors.live(tenant_id)
    context = {
        "version": found,
        "run": found.run,
        "parts": datasets.parts(found.run.dataset),
        "withdrawn": datasets.withdrawn(found.run.dataset),
        "form": DecisionForm(),
        "decisions": adapter_versions.decisions(found),
        "history": selectors.history(found),
        "live": live,
        "is_live": live is not None and live.version_id == found.id,
        "own_run": found.run.started_by_id == request.member.id,
    }
    return render(request, "adapters/version.html", context)


@require_POST
@gate(Action.RELEASE)
def put_live(request: MemberRequest, version_id: uuid.UUID) -> HttpResponse:
    found = adapter_versions.version(request.member.tenant_id, version_id)
    try:
        services.put_live(member=request.member, version=found)
    except AppError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, f"{found} is live.")
    return redirect("version", version_id)


@require_POST
@gate(Action.RELEASE)
def take_off(request: MemberRequest) -> HttpResponse:
    try:
        services.take_off(member=request.member)
    except AppError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, "Nothing is live now; your firm's programs are told so until something is.")
    return redirect("adapters")
