from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from webapp.core.errors import AppError
from webapp.core.jobs import services as jobs
from webapp.core.jobs.models import JobState
from webapp.core.pages import is_fragment, page_of, show
from webapp.datasets import selectors as datasets
from webapp.tenants.gates import MemberRequest, gate
from webapp.tenants.permissions import Action
from webapp.training import selectors, services, wording
from webapp.training.forms import RunForm
from webapp.training.likeness import compare
from webapp.training.models import Answer, TrainingRun
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
    if is_fragment(request):
        status = STOP_POLLING if found.job.has_ended else 200
        return render(request, "training/_numbers.html", _numbers(found), status=status)
    context = {
        **_numbers(found),
        **_answers(found),
        "spec": found.training_spec,
        "all_settings": wording.in_words(found.training_spec, mode=found.mode, precision=found.precision),
    }
    return render(request, "training/run.html", context)


@require_safe
@gate(Action.VIEW)
def curve(request: MemberRequest, run_id: uuid.UUID) -> JsonResponse:
    """`{"train": [[step, loss], ...], "heldout": [...], "steps": n, "best": n or null, "ended": bool}`.

    `after` in the query string leaves out the training losses up to that step.
    """
    found = selectors.run(request.member.tenant_id, run_id)
    after = request.GET.get("after", "")
    lines = selectors.curve(found, after=int(after) if after.isdecimal() and len(after) < 10 else 0)
    about = {"steps": found.steps, "step": found.step, "best": found.best_step}
    return JsonResponse({**lines, **about, "ended": found.job.has_ended})


@require_safe
@gate(Action.VIEW)
def answers(request: MemberRequest, run_id: uuid.UUID) -> HttpResponse:
    """The answers to the fixed prompts; nothing while there is no other than was `seen`."""
    found = selectors.run(request.member.tenant_id, run_id)
    context = _answers(found)
    if not found.job.has_ended and request.GET.get("seen") == context["seen"]:
        return HttpResponse(status=204)
    status = STOP_POLLING if found.job.has_ended and is_fragment(request) else 200
    return render(request, "training/_answers.html", context, status=status)


@require_POST
@gate(Action.TRAIN)
def cancel(request: MemberRequest, run_id: uuid.UUID) -> HttpResponse:
    found = selectors.run(request.member.tenant_id, run_id)
    keep_best = bool(request.POST.get("keep_best"))
    try:
        services.cancel(member=request.member, run=found, keep_best=keep_best)
    except AppError as error:
        messages.error(request, error.message)
    else:
        kept = "its best so far is kept" if keep_best else "nothing of it is kept"
        messages.success(request, f"The run is being cancelled; {kept}.")
    return redirect("run", run_id)


def _card(preset: Preset, given: Given) -> dict[str, Any]:
    """What a preset would do with what is given."""
    spec = preset.spec(given)
    return {"preset": preset, "spec": spec, "steps": steps(spec, given.examples)}


def _numbers(run: TrainingRun) -> dict[str, Any]:
    """How the run stands: what the page asks for again every second."""
    waits = run.job.state == JobState.QUEUED
    not_before = run.job.not_before
    return {
        "run": run,
        "version": selectors.version_id(run),
        "position": jobs.position(run.job),
        "waits_until": not_before if not_before and not_before > timezone.now() else None,
        # A run that was interrupted goes on from its last checkpoint, whatever was shown of it before.
        "step": (run.checkpoint_step or 0) if waits else run.step,
    }


def _answers(run: TrainingRun) -> dict[str, Any]:
    """The fixed prompts, each with its first answer, its last one and those in between. `seen` names what is
    shown: it changes with every new answer and every new best."""
    prompts: list[dict[str, Any]] = []
    count = 0
    for prompt in selectors.answers(run):
        count += len(prompt.answers)
        told = [_told(answer, run.best_step) for answer in prompt.answers]
        prompts.append(
            {
                "title": prompt.prompt.strip().partition("\n")[0],
                "prompt": prompt.prompt,
                "expected": prompt.expected,
                "first": told[0],
                "between": told[1:-1],
                "last": told[-1] if len(told) > 1 else None,
            }
        )
    return {"run": run, "prompts": prompts, "seen": f"{count}-{run.best_step or 0}"}


def _told(answer: Answer, best_step: int | None) -> dict[str, Any]:
    compared = compare(answer.expected, answer.text)
    return {
        "step": answer.step,
        "is_best": answer.step == best_step,
        "share": compared.share,
        "pieces": compared.pieces,
    }
