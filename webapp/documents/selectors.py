from __future__ import annotations

import uuid
from collections.abc import Iterable

from django.db.models import Count, Q, QuerySet

from webapp.core import storage
from webapp.core.errors import NotFound
from webapp.core.jobs.models import JobState
from webapp.documents.layout import Layout
from webapp.documents.models import Document


def documents(tenant_id: uuid.UUID) -> QuerySet[Document]:
    return Document.objects.of(tenant_id).select_related("job", "uploaded_by__user")


def document(tenant_id: uuid.UUID, document_id: uuid.UUID) -> Document:
    """The gate to a document. Raises NotFound for everybody outside the firm."""
    found = documents(tenant_id).filter(id=document_id).first()
    if found is None:
        raise NotFound
    return found


def ready(tenant_id: uuid.UUID, document_ids: Iterable[uuid.UUID] | None = None) -> QuerySet[Document]:
    """Documents whose text is there to learn from."""
    found = documents(tenant_id).filter(job__state=JobState.SUCCEEDED)
    return found if document_ids is None else found.filter(id__in=list(document_ids))


def unsettled(tenant_id: uuid.UUID) -> bool:
    """Whether any document is still waiting or being read."""
    return documents(tenant_id).filter(job__state__in=[JobState.QUEUED, JobState.RUNNING]).exists()


def counts(tenant_id: uuid.UUID) -> dict[str, int]:
    """How many documents are `ready`, `unsettled` and `refused`."""
    waiting = [JobState.QUEUED, JobState.RUNNING]
    ready = Q(job__state=JobState.SUCCEEDED)
    unsettled = Q(job__state__in=waiting)
    return Document.objects.of(tenant_id).aggregate(
        ready=Count("id", filter=ready),
        unsettled=Count("id", filter=unsettled),
        refused=Count("id", filter=~ready & ~unsettled),
    )


def original(document: Document) -> bytes:
    return _read(document, document.stored_name)


def text(document: Document) -> str:
    """The extracted text, paragraphs apart by blank lines; empty while there is none."""
    return _read(document, document.text_name).decode() if document.text_name else ""


def layout(document: Document) -> Layout:
    """The blocks and marks of the extracted text."""
    if not document.layout_name:  # read before layouts were kept
        return Layout.of_text(text(document))
    return Layout.from_json(_read(document, document.layout_name))


def _read(document: Document, name: str) -> bytes:
    firm = document.tenant
    return storage.get(tenant_id=firm.id, wrapped_key=firm.wrapped_key, name=name)
