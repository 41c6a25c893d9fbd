from __future__ import annotations

import uuid
from functools import partial
from pathlib import PurePosixPath

from django.conf import settings
from django.db import transaction
from django.db.models.deletion import ProtectedError

from webapp.audit import services as audit
from webapp.core import storage
from webapp.core.errors import Conflict, Invalid
from webapp.core.jobs import services as jobs
from webapp.core.jobs.models import Job, JobKind
from webapp.documents.layout import Layout
from webapp.documents.models import Document
from webapp.tenants import selectors as tenants
from webapp.tenants.models import Matter, Membership
from webapp.tenants.permissions import Action, require


@transaction.atomic
def upload(*, member: Membership, name: str, data: bytes, matter: Matter | None = None) -> Document:
    """Keep a file and queue its reading. What is wrong inside it is found there and costs that file alone.

    It belongs to `matter`, or to the firm's general one.

    Raises Invalid when the file is larger than one may be.
    """
    require(member, Action.UPLOAD)
    name = _clean_name(name)
    if len(data) > settings.MAX_UPLOAD_BYTES:
        limit = settings.MAX_UPLOAD_BYTES // 2**20
        raise Invalid(f"“{name}” is larger than {limit} MB; split it into smaller files.", code="too_large")
    firm = member.tenant
    stored = storage.put(tenant_id=firm.id, wrapped_key=firm.wrapped_key, area="documents", data=data)
    document_id = uuid.uuid4()
    job = jobs.enqueue(JobKind.EXTRACT, tenant_id=firm.id, object_id=document_id)
    document = Document.objects.create(
        id=document_id,
        tenant=firm,
        name=name,
        size=stored.size,
        sha256=stored.sha256,
        stored_name=stored.name,
        matter=matter or tenants.general_matter(firm.id),
        uploaded_by=member,
        job=job,
    )
    audit.record(
        tenant_id=firm.id, actor=member, action="document.uploaded", target=document, sha256=stored.sha256
    )
    return document


@transaction.atomic
def record_text(*, document: Document, layout: Layout, pages: int, kind: str) -> None:
    """Keep what was read from a document: its text, and how it is laid out."""
    text = layout.text
    document.text_name = _keep(document, "text", text.encode())
    document.layout_name = _keep(document, "layout", layout.to_json())
    document.pages, document.kind, document.words = pages, kind, len(text.split())
    document.save(update_fields=["text_name", "layout_name", "pages", "kind", "words"])


@transaction.atomic
def delete(*, member: Membership, document: Document) -> None:
    """Remove a document and its files. Raises Conflict while a dataset was made from it."""
    require(member, Action.UPLOAD)
    if not document.job.has_ended:
        raise Conflict(f"“{document.name}” is still being read; wait for it to finish, then delete it.")
    audit.record(
        tenant_id=member.tenant_id,
        actor=member,
        action="document.deleted",
        target=document,
        sha256=document.sha256,
    )
    names = [name for name in (document.stored_name, document.text_name, document.layout_name) if name]
    job_id = document.job_id
    try:
        document.delete()
    except ProtectedError:
        raise Conflict(
            f"“{document.name}” is part of a dataset, which must stay as it is; it cannot be deleted."
        ) from None
    Job.objects.filter(id=job_id).delete()
    for name in names:
        transaction.on_commit(partial(storage.delete, name))


def _keep(document: Document, area: str, data: bytes) -> str:
    """Seal `data` under the firm's key; returns its name in the storage."""
    firm = document.tenant
    return storage.put(tenant_id=firm.id, wrapped_key=firm.wrapped_key, area=area, data=data).name


def _clean_name(name: str) -> str:
    """The last part of a file's name, without control characters; a browser may send a path."""
    last = PurePosixPath(name.replace("\\", "/")).name
    printable = "".join(character for character in last if character.isprintable()).strip()
    return printable[-255:] or "unnamed"
