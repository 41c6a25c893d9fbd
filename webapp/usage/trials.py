"""What a version on trial and the live one beside it answered meanwhile: a part of the version's page."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from django.db.models import Count, Q
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from webapp.adapters import selectors as adapters
from webapp.adapters.models import AdapterVersion
from webapp.serving import selectors as serving
from webapp.serving.models import Rollout
from webapp.serving.selectors import Median
from webapp.tenants.gates import MemberRequest, gate
from webapp.tenants.permissions import Action
from webapp.usage.models import Ending, UsageRow


@dataclass(frozen=True)
class Answered:
    """A version's requests during a trial; `median` in milliseconds to the answer's end."""

    version: AdapterVersion
    answered: int
    errors: int
    median: float | None


def answered(rollout: Rollout) -> list[Answered]:
    """Of the version on trial, then of the one beside it; requests that still run are not counted."""
    rows = UsageRow.objects.of(rollout.tenant_id).filter(started_at__gte=rollout.started_at)
    if rollout.ended_at is not None:
        rows = rows.filter(started_at__lt=rollout.ended_at)
    versions = [rollout.version, rollout.against.version]
    good = Q(ending=Ending.ANSWERED)
    found = {
        row["version"]: row
        for row in rows.filter(version__in=versions)
        .values("version")
        .annotate(
            answered=Count("id", filter=good),
            errors=Count("id", filter=Q(ending__in=[Ending.FAILED, Ending.BROKEN_OFF])),
            median=Median("duration_ms", filter=good),
        )
        .order_by()
    }
    nothing = {"answered": 0, "errors": 0, "median": None}
    counted = [(version, found.get(version.id, nothing)) for version in versions]
    return [Answered(version, row["answered"], row["errors"], row["median"]) for version, row in counted]


@require_safe
@gate(Action.VIEW)
def trial(request: MemberRequest, version_id: uuid.UUID) -> HttpResponse:
    """The numbers of the version's latest trial; nothing where there was none."""
    version = adapters.version(request.member.tenant_id, version_id)
    rollout = serving.trials(version).first()
    rows = answered(rollout) if rollout else []
    return render(request, "usage/_answered.html", {"rows": rows})
