from __future__ import annotations

import uuid
from collections.abc import Iterable

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from webapp.core.errors import AppError
from webapp.core.pages import page_of, show
from webapp.datasets import selectors, services
from webapp.datasets.forms import DatasetForm
from webapp.datasets.models import Split
from webapp.documents import selectors as documents
from webapp.tenants.gates import MemberRequest, gate
from webapp.tenants.permissions import Action

EXAMPLES_A_PAGE = 6


@require_safe
@gate(Action.VIEW)
def datasets(request: MemberRequest) -> HttpResponse:
    tenant_id = request.member.tenant_id
    context = {
        "page": page_of(request, selectors.datasets(tenant_id)),
        "ready_documents": documents.counts(tenant_id)["ready"],
    }
    return render(request, "datasets/datasets.html", context)


@gate(Action.BUILD)
def new(request: MemberRequest) -> HttpResponse:
    """A form with every ready document chosen, or those that the documents page named."""
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
            )
            return redirect("dataset", dataset.id)
        except AppError as error:
            show(error, form)
    ready = list(documents.ready(tenant_id).order_by("name"))
    named = request.POST.getlist("documents") if form.is_bound else request.GET.getlist("document")
    chosen = _known(named, (document.id for document in ready))
    if not form.is_bound and not chosen:
        chosen = {document.id for document in ready}
    context = {"form": form, "ready": ready, "chosen": chosen}
    return render(request, "datasets/new.html", context)


@require_safe
@gate(Action.VIEW)
def dataset(request: MemberRequest, dataset_id: uuid.UUID) -> HttpResponse:
    found = selectors.dataset(request.member.tenant_id, dataset_id)
    split = request.GET.get("split", "")
    if split not in Split.values:
        split = ""
    context = {
        "dataset": found,
        "parts": selectors.parts(found),
        "page": page_of(request, selectors.examples(found, split=split), size=EXAMPLES_A_PAGE),
        "split": split,
        "splits": Split.choices,
    }
    return render(request, "datasets/dataset.html", context)


@require_POST
@gate(Action.BUILD)
def delete(request: MemberRequest, dataset_id: uuid.UUID) -> HttpResponse:
    found = selectors.dataset(request.member.tenant_id, dataset_id)
    try:
        services.delete(member=request.member, dataset=found)
    except AppError as error:
        messages.error(request, error.message)
        return redirect("dataset", dataset_id)
    messages.success(request, f"The dataset “{found.name}” is deleted; its documents are still here.")
    return redirect("datasets")


def _known(named: Iterable[str], ready: Iterable[uuid.UUID]) -> set[uuid.UUID]:
    by_text = {str(document_id): document_id for document_id in ready}
    return {by_text[text] for text in named if text in by_text}
