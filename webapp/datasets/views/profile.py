from __future__ import annotations

import uuid

from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.text import slugify
from django.views.decorators.http import require_safe

from webapp.core.errors import NotFound
from webapp.datasets import selectors
from webapp.datasets.models import Dataset
from webapp.datasets.profile import compare
from webapp.tenants.gates import MemberRequest, gate
from webapp.tenants.permissions import Action

LITTLE = 2000  # words: below it most features are chance


@require_safe
@gate(Action.VIEW)
def profile(request: MemberRequest, dataset_id: uuid.UUID) -> HttpResponse:
    """A dataset's style, as a page of a style book."""
    found = selectors.dataset(request.member.tenant_id, dataset_id)
    context = {
        "dataset": found,
        "profile": found.profile,
        "is_little": found.profile.get("words", 0) < LITTLE,
        "others": bool(_others(found)),
    }
    return render(request, "datasets/profile.html", context)


@require_safe
@gate(Action.VIEW)
def profile_download(request: MemberRequest, dataset_id: uuid.UUID) -> HttpResponse:
    found = selectors.dataset(request.member.tenant_id, dataset_id)
    if not found.profile:
        raise NotFound
    response = JsonResponse(found.profile, json_dumps_params={"ensure_ascii": False, "indent": 2})
    name = slugify(str(found)) or "dataset"
    response["Content-Disposition"] = f'attachment; filename="{name}-style-profile.json"'
    return response


@require_safe
@gate(Action.VIEW)
def profile_compare(request: MemberRequest, dataset_id: uuid.UUID) -> HttpResponse:
    """Two datasets' styles side by side; without `with`, the question which."""
    tenant_id = request.member.tenant_id
    found = selectors.dataset(tenant_id, dataset_id)
    chosen = request.GET.get("with", "")
    other = selectors.dataset(tenant_id, _id(chosen)) if chosen else None
    compared = None
    if other is not None and found.profile and other.profile:
        compared = compare(found.profile, other.profile, names=(f"“{found}”", f"“{other}”"))
    context = {"dataset": found, "other": other, "others": _others(found), "compared": compared}
    return render(request, "datasets/profile_compare.html", context)


def _others(dataset: Dataset) -> list[Dataset]:
    """The firm's other frozen datasets that have a profile, the newest first."""
    others = selectors.ready(dataset.tenant_id).exclude(id=dataset.id).exclude(profile={})
    return list(others.select_related(None).only("id", "name", "version"))


def _id(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise NotFound from None
