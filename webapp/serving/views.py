"""Pages of adapters: what there is, what speaks for a version, and what is live."""

from __future__ import annotations

import uuid
from itertools import groupby
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from webapp.adapters import selectors as adapter_versions
from webapp.adapters.forms import DecisionForm
from webapp.adapters.models import AdapterVersion, VersionState
from webapp.datasets import selectors as datasets
from webapp.serving import rollouts, selectors
from webapp.tenants.gates import MemberRequest, gate
from webapp.tenants.permissions import Action

RECENT = 10  # of the times that versions were live, on the page of adapters


@require_safe
@gate(Action.VIEW)
def adapters(request: MemberRequest) -> HttpResponse:
    """Every adapter with its versions, the newest version first."""
    tenant_id = request.member.tenant_id
    rows = adapter_versions.versions(tenant_id).order_by("adapter__name", "-number")
    groups = [(name, list(versions)) for name, versions in groupby(rows, key=lambda row: row.adapter.name)]
    context = {
        **_now(tenant_id),
        "adapters": groups,
        "some_approved": any(row.state == VersionState.APPROVED for row in rows),
        "deployments": selectors.deployments(tenant_id)[:RECENT],
    }
    return render(request, "adapters/adapters.html", context)


@require_safe
@gate(Action.VIEW)
def version(request: MemberRequest, version_id: uuid.UUID) -> HttpResponse:
    """The evidence for a version, the decision on it, and whether it is live or on trial."""
    tenant_id = request.member.tenant_id
    found = adapter_versions.version(tenant_id, version_id)
    now = _now(tenant_id)
    context = {
        **now,
        "version": found,
        "run": found.run,
        "parts": datasets.parts(found.run.dataset),
        "withdrawn": datasets.withdrawn(found.run.dataset),
        "form": DecisionForm(),
        "decisions": adapter_versions.decisions(found),
        "history": selectors.history(found),
        "is_live": now["live"] is not None and now["live"].version_id == found.id,
        "own_run": found.run.started_by_id == request.member.id,
        "steps": rollouts.STEPS,
        **_trial(found),
    }
    return render(request, "adapters/version.html", context)


def _now(tenant_id: uuid.UUID) -> dict[str, Any]:
    """What answers the firm's programs, and what a roll-back would return to."""
    live = selectors.live(tenant_id)
    return {
        "live": live,
        "rollout": selectors.rollout(tenant_id),
        "previous": selectors.previous(tenant_id, live),
    }


def _trial(version: AdapterVersion) -> dict[str, Any]:
    """The version's latest trial, open or not, with what its copies came to, and the trials before it."""
    trials = list(selectors.trials(version))
    latest = trials[0] if trials else None
    return {
        "past_trials": [trial for trial in trials if trial.ended_at is not None],
        "trial": latest,
        "on_trial": latest is not None and latest.ended_at is None,
        "copies": selectors.shadow_numbers(latest) if latest else None,
    }
