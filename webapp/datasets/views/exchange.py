"""A dataset out as a file, and in again. What comes in is read by a worker, as any document is."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator
from pathlib import PurePath

from django.conf import settings
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils.text import slugify
from django.views.decorators.http import require_safe

from webapp.core.asynchronous import in_database
from webapp.core.errors import AppError
from webapp.core.pages import show
from webapp.core.tenancy import tenant_scope
from webapp.datasets import selectors, services
from webapp.datasets.forms import ImportForm
from webapp.datasets.models import Dataset
from webapp.documents import selectors as documents
from webapp.documents import services as document_services
from webapp.tenants.gates import MemberRequest, gate
from webapp.tenants.models import Membership
from webapp.tenants.permissions import Action


@require_safe
@gate(Action.BUILD)
def export(request: MemberRequest, dataset_id: uuid.UUID) -> StreamingHttpResponse:
    found = selectors.dataset(request.member.tenant_id, dataset_id)
    return exported(request.member, found)


def exported(member: Membership, dataset: Dataset) -> StreamingHttpResponse:
    """The dataset as a file of JSON lines that is never whole in memory. Raises Conflict unless frozen."""
    services.note_export(member=member, dataset=dataset)
    response = StreamingHttpResponse(_lines(member, dataset), content_type="application/jsonl")
    name = slugify(str(dataset)) or "dataset"
    response["Content-Disposition"] = f'attachment; filename="{name}.jsonl"'
    response["Cache-Control"] = "no-store"
    return response


async def _lines(member: Membership, dataset: Dataset) -> AsyncGenerator[bytes, None]:
    def batch(after: int) -> tuple[bytes, int]:
        with tenant_scope(member.tenant_id, viewer=member.id):
            return services.export_batch(dataset, after=after)

    yield services.export_header(dataset)
    after = -1
    while True:
        lines, after = await in_database(batch)(after)
        if not lines:
            return
        yield lines


@gate(Action.BUILD)
def import_file(request: MemberRequest) -> HttpResponse:
    """Take an exported file in as a document, then wait for it."""
    form = ImportForm(request.POST or None, request.FILES or None, tenant_id=request.member.tenant_id)
    if request.method == "POST" and form.is_valid():
        file = form.cleaned_data["file"]
        # One byte more than allowed is enough for the service to refuse a file that is far larger.
        data = file.read(settings.MAX_UPLOAD_BYTES + 1)
        try:
            document = document_services.upload(
                member=request.member,
                name=file.name or "",
                data=data,
                matter=form.cleaned_data["matter"],
            )
        except document_services.Duplicate as duplicate:
            document = duplicate.document
        except AppError as error:
            show(error, form)
            return render(request, "datasets/import.html", {"form": form})
        return redirect("dataset-import-document", document.id)
    return render(request, "datasets/import.html", {"form": form})


@gate(Action.BUILD)
def import_document(request: MemberRequest, document_id: uuid.UUID) -> HttpResponse:
    """How far the reading of the file is; once it is read, the dataset is made of it alone."""
    document = documents.document(request.member.tenant_id, document_id)
    problem = ""
    if request.method == "POST":
        try:
            dataset = services.create(
                member=request.member,
                name=request.POST.get("name", ""),
                document_ids=[document.id],
            )
            return redirect("dataset", dataset.id)
        except AppError as error:
            problem = error.message
    name = request.POST.get("name") or PurePath(document.name).stem
    context = {"document": document, "problem": problem, "name": name}
    return render(request, "datasets/import_document.html", context)
