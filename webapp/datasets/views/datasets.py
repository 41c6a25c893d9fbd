from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from webapp.core.errors import AppError
from webapp.core.pages import page_of
from webapp.datasets import selectors, services
from webapp.datasets.models import Dataset, ExampleKind, Split
from webapp.documents import selectors as documents
from webapp.tenants.gates import MemberRequest, gate
from webapp.tenants.permissions import Action

EXAMPLES_A_PAGE = 10
PARTS_SHOWN = 10
MAX_POSITION = 2**31 - 1


@require_safe
@gate(Action.VIEW)
def datasets(request: MemberRequest) -> HttpResponse:
    tenant_id = request.member.tenant_id
    context = {
        "page": page_of(request, selectors.datasets(tenant_id)),
        "ready_documents": documents.counts(tenant_id)["ready"],
    }
    return render(request, "datasets/datasets.html", context)


@require_safe
@gate(Action.VIEW)
def dataset(request: MemberRequest, dataset_id: uuid.UUID) -> HttpResponse:
    """A version, or a draft with its changes over the examples of its parent. Nothing here is counted: a
    frozen dataset knows its numbers, and its examples are asked for by position."""
    found = selectors.dataset(request.member.tenant_id, dataset_id)
    versions = list(selectors.versions(found))
    is_draft = found.state == "draft"
    context: dict[str, Any] = {
        "dataset": found,
        "versions": versions,
        "matters": selectors.matters(found),
    }
    if found.state == "ready" or is_draft:
        context |= _examples(request, found)
    if is_draft:
        return render(request, "datasets/draft.html", context)
    context |= {
        "draft": next((row for row in versions if row.state == "draft" and row.parent_id == found.id), None),
        "parts": selectors.parts(found)[:PARTS_SHOWN],
        "parts_count": selectors.parts(found).count(),
        "withdrawn": selectors.withdrawn(found),
        "was_draft": found.state == "failed" and selectors.changes(found).exists(),
    }
    return render(request, "datasets/dataset.html", context)


@require_safe
@gate(Action.VIEW)
def parts(request: MemberRequest, dataset_id: uuid.UUID) -> HttpResponse:
    """All of a dataset's documents."""
    found = selectors.dataset(request.member.tenant_id, dataset_id)
    context = {"dataset": found, "page": page_of(request, selectors.parts(found), size=100)}
    return render(request, "datasets/parts.html", context)


@require_POST
@gate(Action.BUILD)
def delete(request: MemberRequest, dataset_id: uuid.UUID) -> HttpResponse:
    found = selectors.dataset(request.member.tenant_id, dataset_id)
    try:
        services.delete(member=request.member, dataset=found)
    except AppError as error:
        messages.error(request, error.message)
        return redirect("dataset", dataset_id)
    messages.success(request, f"The dataset “{found}” is deleted; its documents are still here.")
    return redirect("datasets")


def _examples(request: MemberRequest, found: Dataset) -> dict[str, Any]:
    """The slice of examples that the query string asks for, and what the page says around it."""
    frozen = found.parent if found.state == "draft" and found.parent else found
    counts: dict[str, dict[str, int]] = frozen.manifest.get("counts", {})
    split = _one_of(request.GET.get("split", ""), Split.values)
    kind = _one_of(request.GET.get("kind", ""), counts)
    search = request.GET.get("q", "").replace("\0", "").strip()[:200]
    changed = bool(request.GET.get("changed")) and found.state == "draft"
    shown = selectors.examples(found, split=split, kind=kind, search=search, changed=changed)
    some = selectors.slice_of(
        shown, EXAMPLES_A_PAGE, after=_position(request, "after"), before=_position(request, "before")
    )
    changes = {}
    if found.state == "draft":
        changes = {change.example_id: change for change in selectors.changes(found, some.rows)}
    in_kinds = [kind] if kind else list(counts)
    sides = [split] if split else Split.values
    return {
        "frozen": frozen,
        "slice": some,
        "rows": [(row, changes.get(row.id)) for row in some.rows],
        "first": some.rows[0].position + 1 if some.rows else 0,
        "last": some.rows[-1].position + 1 if some.rows else 0,
        "split": split,
        "kind": kind,
        "search": search,
        "changed": changed,
        "splits": Split.choices,
        "kinds": [(value, label) for value, label in ExampleKind.choices if value in counts],
        "total": sum(counts[name].get(side, 0) for name in in_kinds for side in sides),
        "change_count": selectors.changes(found).count() if found.state == "draft" else 0,
    }


def _one_of(said: str, known: Any) -> str:
    return said if said in known else ""


def _position(request: MemberRequest, name: str) -> int | None:
    """A position in the query string; None where there is none, or no such thing."""
    said = request.GET.get(name, "")[:10]
    return min(int(said), MAX_POSITION) if said.isascii() and said.isdigit() else None
