from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from webapp.core.errors import AppError
from webapp.core.pages import is_fragment, page_of, show
from webapp.datasets import selectors as datasets
from webapp.tenants.gates import MemberRequest, gate
from webapp.tenants.permissions import Action
from webapp.training import selectors, services
from webapp.training.forms import RunForm
from webapp.training.presets import PRESETS, Given, Preset, steps

STOP_POLLING = 286  # htmx swaps this answer in like any other and then asks no more


@require_safe
@gate(Action.VIEW)
def runs(request: MemberRequest) -> HttpResponse:
    tenant_id = request.member.tenant_id
    context = {
        "page": page_of(request, selectors.runs(tenant_id)),
        "has_dataset": datasets.ready(tenant_id).exists(),
    }
    return render(request, "training/runs.html", context)


@gate(Action.TRAIN)
def new(request: MemberRequest) -> HttpResponse:
    """The form. What the query string names is chosen and written already: a change of dataset, base or
    preset asks for the page again, and takes from it what depends on them."""
    tenant_id = request.member.tenant_id
    ready = datasets.ready(tenant_id)
    names = selectors.adapter_names(tenant_id)
    form = RunForm(
        request.POST or None,
        tenant_id=tenant_id,
        initial={
            **request.GET.dict(),
            "dataset": request.GET.get("dataset") or ready.values_list("id", flat=True).first(),
            "adapter_name": request.GET.get("adapter_name") or (names[0] if names else "house-style"),
        },
    )
    if request.method == "POST" and form.is_valid():
        said = form.cleaned_data
        try:
            run = services.start(
                member=request.member,
                dataset=said["dataset"],
                adapter_name=said["adapter_name"],
                preset=said["preset"],
                changes=form.changes,
                base=said["base"] or None,
            )
            return redirect("run", run.id)
        except AppError as error:
            show(error, form)
    wanted = str(form["dataset"].value())
    chosen = next((dataset for dataset in ready if str(dataset.id) == wanted), None) or ready.first()
    given = selectors.given(chosen, form["base"].value() or None)
    form.show_preset(PRESETS[form.preset_name].spec(given))
    context = {
        "form": form,
        "chosen": chosen,
        "presets": [_card(preset, given) for preset in PRESETS.values()],
        "adapter_names": names,
    }
    return render(request, "training/new.html", context)


@require_safe
@gate(Action.VIEW)
def run(request: MemberRequest, run_id: uuid.UUID) -> HttpResponse:
    """The run's page; for the page's script its numbers alone, until it has ended."""
    found = selectors.run(request.member.tenant_id, run_id)
    context = {"run": found, "version": selectors.version_id(found)}
    if not is_fragment(request):
        return render(request, "training/run.html", context)
    status = STOP_POLLING if found.job.has_ended else 200
    return render(request, "training/_numbers.html", context, status=status)


@require_safe
@gate(Action.VIEW)
def curve(request: MemberRequest, run_id: uuid.UUID) -> JsonResponse:
    """`{"train": [[step, loss], ...], "heldout": [...], "steps": n, "ended": bool}`."""
    found = selectors.run(request.member.tenant_id, run_id)
    return JsonResponse({**selectors.curve(found), "steps": found.steps, "ended": found.job.has_ended})


@require_POST
@gate(Action.TRAIN)
def cancel(request: MemberRequest, run_id: uuid.UUID) -> HttpResponse:
    found = selectors.run(request.member.tenant_id, run_id)
    try:
        services.cancel(member=request.member, run=found)
    except AppError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, "The run is being cancelled; nothing of it is kept.")
    return redirect("run", run_id)


def _card(preset: Preset, given: Given) -> dict[str, Any]:
    """What a preset would do with what is given."""
    spec = preset.spec(given)
    return {"preset": preset, "spec": spec, "steps": steps(spec, given.examples)}
