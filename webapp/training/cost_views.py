"""What training costs: beside the form of a run, and as a table of models and ranks."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from webapp.tenants.gates import MemberRequest, gate
from webapp.tenants.permissions import Action
from webapp.training import costs, selectors
from webapp.training.cost_forms import CostForm
from webapp.training.estimate.known import MODELS
from webapp.training.forms import READY, RunForm
from webapp.training.presets import PRESETS
from webapp.training.spec import MAX_LAYERS, SpecError, TrainingSpec

PART = "training/_estimate.html"


@require_safe
@gate(Action.TRAIN)
def estimate(request: MemberRequest) -> HttpResponse:
    """The cost of the run that the form's fields describe, as a part of its page."""
    form = RunForm(request.GET, tenant_id=request.member.tenant_id)
    form.is_valid()
    dataset, base = form.cleaned_data.get("dataset"), form.cleaned_data.get("base") or None
    if dataset is None:
        return render(request, PART, {"wrong": [READY]})
    given = selectors.given(dataset, base)
    limits = {"max_rank": settings.MAX_ADAPTER_RANK, "max_layers": given.layers or MAX_LAYERS}
    chosen = PRESETS[form.preset_name].spec(given).as_dict()
    try:
        spec = TrainingSpec.parse({**chosen, **form.changes}, **limits)
    except SpecError as error:
        return render(request, PART, {"wrong": list(error.problems.values())})
    return render(request, PART, {"cost": costs.for_form(dataset=dataset, spec=spec, base=base)})


@require_safe
@gate(Action.VIEW)
def table(request: MemberRequest) -> HttpResponse:
    """Models of three sizes against three ranks, on a device that is chosen."""
    form = CostForm(request.GET.dict())
    context: dict[str, Any] = {"form": form, "stored": [(model.name, model.shape.stored) for model in MODELS]}
    if form.is_valid():
        context["rows"] = costs.table(form.machine, form.work)
    return render(request, "training/costs.html", context)
