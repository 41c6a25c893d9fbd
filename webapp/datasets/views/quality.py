from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from webapp.datasets import selectors
from webapp.datasets.models import ExampleKind, Split
from webapp.datasets.quality.plots import histogram
from webapp.findings.models import FindingKind
from webapp.tenants.gates import MemberRequest, gate
from webapp.tenants.permissions import Action


@require_safe
@gate(Action.VIEW)
def quality(request: MemberRequest, dataset_id: uuid.UUID) -> HttpResponse:
    """What is in a dataset and what falls short, with what to do."""
    found = selectors.dataset(request.member.tenant_id, dataset_id)
    report = found.report
    context: dict[str, Any] = {"dataset": found, "report": report, "splits": Split}
    if report.get("kinds"):
        kinds = [{**row, "label": _label(ExampleKind, row["kind"])} for row in report["kinds"]]
        context |= {
            "kinds": kinds,
            "most_tokens": max(row["train"]["tokens"] + row["heldout"]["tokens"] for row in kinds),
            "histogram": histogram(report["lengths"]),
            "findings": [
                {**row, "label": _label(FindingKind, row["kind"])} for row in report["findings_by_kind"]
            ],
        }
    return render(request, "datasets/quality.html", context)


def _label(choices: Any, value: str) -> str:
    return str(choices(value).label) if value in choices.values else value
