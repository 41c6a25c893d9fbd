from __future__ import annotations

import uuid
from pathlib import PurePosixPath

from django.conf import settings
from django.db import transaction

from webapp.audit import services as audit
from webapp.core import storage
from webapp.core.errors import Conflict, Invalid
from webapp.core.jobs import services as jobs
from webapp.core.jobs.models import JobKind
from webapp.documents import selectors
from webapp.documents.locks import one_writer
from webapp.documents.models import Document
from webapp.tenants import selectors as tenants
from webapp.tenants.models import Matter, Membership
from webapp.tenants.permissions import Action, require


class Duplicate(Conflict):
    """The same bytes are here already, as `document`."""

    code = "duplicate"

    def __init__(self, name: str, document: Document) -> None:
        since = "was withdrawn" if document.withdrawn_at else "is already here"
        if name == document.name:
            says = f"“{name}” {since}; the same file is not added twice."
        else:
            says = f"“{name}” is the same file as “{document.name}”, which {since}."
        super().__init__(says)
        self.document = document


@transaction.atomic
def upload(*, member: Membership, name: str, data: bytes, matter: Matter | None = None) -> Document:
    """Keep a file and queue its reading. What is wrong inside it is found there and costs that file alone.

    It belongs to `matter`, or to the firm's general one.

    Raises Invalid when the file is larger than one may be, Duplicate when the member can see a document that
    has the same bytes.
    """
    require(member, Action.UPLOAD)
    name = clean_name(name)
    if len(data) > settings.MAX_UPLOAD_BYTES:
        limit = settings.MAX_UPLOAD_BYTES // 2**20
        raise Invalid(f"“{name}” is larger than {limit} MB; split it into smaller files.", code="too_large")
    one_writer(member.tenant_id)
    if data and (same := selectors.same_bytes(member, selectors.digest(data))) is not None:
        raise Duplicate(name, same)
    document = keep(
        member=member, name=name, data=data, matter=matter or tenants.general_matter(member.tenant_id)
    )
    audit.record(
        tenant_id=member.tenant_id,
        actor=member,
        action="document.uploaded",
        target=document,
        sha256=document.sha256,
    )
    return document


def keep(
    *, member: Membership, name: str, data: bytes, matter: Matter, parent: Document | None = None
) -> Document:
    """Seal a file under the firm's key, and queue its reading."""
    firm = member.tenant
    stored = storage.put(tenant_id=firm.id, wrapped_key=firm.wrapped_key, area="documents", data=data)
    document_id = uuid.uuid4()
    job = jobs.enqueue(JobKind.EXTRACT, tenant_id=firm.id, object_id=document_id)
    document: Document = Document.objects.create(
        id=document_id,
        tenant=firm,
        name=name,
        size=stored.size,
        sha256=stored.sha256,
        stored_name=stored.name,
        matter=matter,
        parent=parent,
        uploaded_by=member,
        job=job,
    )
    return document


def clean_name(name: str) -> str:
    """The last part of a file's name, without control characters; a browser may send a path."""
    last = PurePosixPath(name.replace("\\", "/")).name
    printable = "".join(character for character in last if character.isprintable()).strip()
    return printable[-255:] or "unnamed"
