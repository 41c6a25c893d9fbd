"""One example as the model sees it. Asynchronous, because the engine is asked while nothing is held."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed
from django.shortcuts import redirect, render

from webapp.core.asynchronous import in_database
from webapp.core.errors import AppError
from webapp.core.tenancy import tenant_scope
from webapp.datasets import selectors as datasets
from webapp.serving.tokens import tokens_of
from webapp.tenants import selectors as tenants
from webapp.tenants.gates import signed_in_member
from webapp.tenants.models import Membership
from webapp.tenants.permissions import Action, require


async def example_tokens(request: HttpRequest, dataset_id: uuid.UUID, position: int) -> HttpResponseBase:
    """The chat template applied, special tokens visible, and the tokens that count in the loss marked."""
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET", "HEAD"])
    seen = await in_database(_see)(request, dataset_id, position)
    if isinstance(seen, HttpResponseBase):
        return seen
    example = seen["example"]
    try:
        tokens, counting = await tokens_of(example.context, example.prompt, example.completion)
        seen |= {"tokens": tokens, "counting": counting}
    except AppError as error:
        seen["problem"] = error.message
    return await in_database(_page)(request, seen)


example_tokens.action = Action.VIEW  # type: ignore[attr-defined]  # read by the test that visits every URL


def _see(request: HttpRequest, dataset_id: uuid.UUID, position: int) -> dict[str, Any] | HttpResponseBase:
    """What the page shows besides the tokens; where nobody is signed in, the way to sign in."""
    if not request.user.is_authenticated:
        return redirect_to_login(request.get_full_path())
    membership: Membership | None = signed_in_member(request)
    if membership is None:
        return redirect("no-firm")
    with tenant_scope(membership.tenant_id, viewer=membership.id):
        member = tenants.member(membership.tenant_id, membership.id)
        require(member, Action.VIEW)
        dataset = datasets.dataset(member.tenant_id, dataset_id)
        example = datasets.example(dataset, position)
        change = datasets.changes(dataset, [example]).exclude(excluded=True).first()
        if change is not None:  # a draft is shown as it would be frozen
            example.prompt, example.completion = change.prompt, change.completion
        return {"member": member, "dataset": dataset, "example": example}


def _page(request: HttpRequest, seen: dict[str, Any]) -> HttpResponse:
    request.member = seen["member"]  # type: ignore[attr-defined]  # as the gate leaves it for the navigation
    return render(request, "datasets/example_tokens.html", seen)
