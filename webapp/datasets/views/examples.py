"""Changing an example: of a frozen dataset it begins a draft, of a draft it goes on with it."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from webapp.core.errors import AppError
from webapp.core.pages import show
from webapp.datasets import selectors, services
from webapp.datasets.forms import ExampleForm
from webapp.datasets.models import Dataset
from webapp.tenants.gates import MemberRequest, gate
from webapp.tenants.permissions import Action


@gate(Action.BUILD)
def edit(request: MemberRequest, dataset_id: uuid.UUID, position: int) -> HttpResponse:
    found = selectors.dataset(request.member.tenant_id, dataset_id)
    example = selectors.example(found, position)
    change = selectors.changes(found, [example]).first() if found.state == "draft" else None
    said = change if change and not change.excluded else example
    form = ExampleForm(request.POST or None, initial={"prompt": said.prompt, "completion": said.completion})
    if request.method == "POST" and form.is_valid():
        try:
            draft = services.edit(
                member=request.member, dataset=found, position=position, **form.cleaned_data
            )
            return redirect(_place(request, draft, position))
        except AppError as error:
            show(error, form)
    context = {"dataset": found, "example": example, "form": form, "back": _back(request)}
    return render(request, "datasets/example.html", context)


@require_POST
@gate(Action.BUILD)
def exclude(request: MemberRequest, dataset_id: uuid.UUID, position: int) -> HttpResponse:
    found = selectors.dataset(request.member.tenant_id, dataset_id)
    try:
        draft = services.exclude(member=request.member, dataset=found, position=position)
    except AppError as error:
        messages.error(request, error.message)
        return redirect(_place(request, found, position))
    return redirect(_place(request, draft, position))


@require_POST
@gate(Action.BUILD)
def undo(request: MemberRequest, dataset_id: uuid.UUID, position: int) -> HttpResponse:
    found = selectors.dataset(request.member.tenant_id, dataset_id)
    try:
        services.undo(member=request.member, draft=found, position=position)
    except AppError as error:
        messages.error(request, error.message)
    return redirect(_place(request, found, position))


def _back(request: HttpRequest) -> str:
    """The query string of the page somebody came from; what is no query string becomes a harmless one."""
    said = (request.POST if request.method == "POST" else request.GET).get("back", "")
    return QueryDict(said[:1000]).urlencode()


def _place(request: HttpRequest, dataset: Dataset, position: int) -> str:
    """Where the example stands among those of `dataset`, as the page showed them before."""
    back = _back(request)
    return f"{reverse('dataset', args=[dataset.id])}{'?' if back else ''}{back}#example-{position}"
