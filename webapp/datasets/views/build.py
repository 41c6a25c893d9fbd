from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from webapp.core.errors import AppError
from webapp.core.pages import show
from webapp.datasets import selectors, services
from webapp.datasets.forms import DatasetForm
from webapp.documents import selectors as documents
from webapp.documents.models import Document
from webapp.findings import selectors as findings
from webapp.tenants.gates import MemberRequest, gate
from webapp.tenants.permissions import Action


@gate(Action.BUILD)
def new(request: MemberRequest) -> HttpResponse:
    """A form with every ready document chosen, or those that another page named; `matter` narrows it."""
    tenant_id = request.member.tenant_id
    form = DatasetForm(request.POST or None, tenant_id=tenant_id)
    if request.method == "POST" and form.is_valid():
        said = form.cleaned_data
        try:
            dataset = services.create(
                member=request.member,
                name=said["name"],
                document_ids=[document.id for document in said["documents"]],
                heldout_share=said["heldout_share"],
                seed=said["seed"] or 0,
                kinds=said["kinds"],
                max_tokens=said["max_tokens"] or 300,
            )
            return redirect("dataset", dataset.id)
        except AppError as error:
            show(error, form)
    every = list(documents.ready(tenant_id).order_by("-matter__is_general", "matter__name", "name", "id"))
    named = request.POST.getlist("documents") if form.is_bound else request.GET.getlist("document")
    chosen = _known(named, (document.id for document in every))
    matter = request.GET.get("matter", "")
    ready = [document for document in every if str(document.matter_id) == matter] if matter else every
    if not form.is_bound and not chosen:
        chosen = {document.id for document in ready}
    context = {
        "form": form,
        "ready": ready,
        "matter": matter,
        "matters": list(dict.fromkeys(document.matter for document in every)),
        "chosen": chosen,
        **_by_matter(ready),
    }
    return render(request, "datasets/new.html", context)


@require_POST
@gate(Action.BUILD)
def without_withdrawn(request: MemberRequest, dataset_id: uuid.UUID) -> HttpResponse:
    found = selectors.dataset(request.member.tenant_id, dataset_id)
    try:
        version = services.without_withdrawn(member=request.member, dataset=found)
    except AppError as error:
        messages.error(request, error.message)
        return redirect("dataset", dataset_id)
    messages.success(request, f"“{version}” is being made without what was withdrawn.")
    return redirect("dataset", version.id)


def _by_matter(ready: Sequence[Document]) -> dict[str, Any]:
    """The documents in groups by matter, each with its open findings; and how many are open in all."""
    counts = findings.counts(document.id for document in ready)
    groups = [
        (matter, [(document, counts[document.id]["open"]) for document in group])
        for matter, group in groupby(ready, key=lambda document: document.matter)
    ]
    return {"groups": groups, "open_findings": sum(count["open"] for count in counts.values())}


def _known(named: Iterable[str], ready: Iterable[uuid.UUID]) -> set[uuid.UUID]:
    by_text = {str(document_id): document_id for document_id in ready}
    return {by_text[text] for text in named if text in by_text}
