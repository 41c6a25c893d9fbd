from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable
from itertools import islice

from django.db.models import Count, Q, QuerySet

from webapp.core import storage
from webapp.core.errors import NotFound
from webapp.core.jobs.models import JobState
from webapp.core.tenancy import tenant_scope
from webapp.documents.layout import Layout
from webapp.documents.models import Document
from webapp.documents.pairs import Pair, Table, pairs_from_json
from webapp.tenants.models import Membership

_READ = Q(job__state=JobState.SUCCEEDED)
_OFFERED = _READ & Q(withdrawn_at=None)
_UNSETTLED = Q(job__state__in=[JobState.QUEUED, JobState.RUNNING])

# What `Document.state` says, as the database reads it.
STATES: dict[str, Q] = {
    "queued": Q(job__state=JobState.QUEUED),
    "reading": Q(job__state=JobState.RUNNING),
    "ready": _OFFERED & (Q(pairs__isnull=False) | (Q(data_name="") & ~Q(text_name=""))),
    "columns": _OFFERED & ~Q(data_name="") & Q(pairs=None),
    "opened": _OFFERED & Q(text_name="", data_name=""),
    "withdrawn": _READ & Q(withdrawn_at__isnull=False),
    "refused": ~_READ & ~_UNSETTLED,
}


def documents(tenant_id: uuid.UUID) -> QuerySet[Document]:
    """The firm's documents, without what only comparing them needs."""
    found = Document.objects.of(tenant_id).select_related("job", "matter", "parent", "uploaded_by__user")
    return found.defer("signature", "bands", "parent__signature", "parent__bands")


def document(tenant_id: uuid.UUID, document_id: uuid.UUID) -> Document:
    """The gate to a document. Raises NotFound for everybody outside the firm, or screened off its matter."""
    found = documents(tenant_id).filter(id=document_id).first()
    if found is None:
        raise NotFound
    return found


def listed(
    tenant_id: uuid.UUID,
    *,
    name: str = "",
    state: str = "",
    kind: str = "",
    matter_id: uuid.UUID | None = None,
) -> QuerySet[Document]:
    """The documents that a list shows, newest first."""
    found = documents(tenant_id)
    if name:
        found = found.filter(name__icontains=name)
    if state:
        found = found.filter(STATES[state])
    if kind:
        found = found.filter(kind=kind)
    if matter_id:
        found = found.filter(matter_id=matter_id)
    return found


def count_around(tenant_id: uuid.UUID, page: Iterable[Document]) -> list[Document]:
    """The documents of one page of a list, with their `member_count`, `near_count` and `open_count`.

    Asked for a page and not in the list's own query, where the database would count for every row that it
    skips on the way to the page.
    """
    shown = list(page)
    rows = Document.objects.of(tenant_id).order_by()
    inside = rows.filter(parent__in=[document.id for document in shown])
    members = dict(inside.values_list("parent").annotate(Count("id")))
    alike = rows.filter(near_duplicates__in={document.near_duplicates for document in shown} - {None})
    near = dict(alike.values_list("near_duplicates").annotate(Count("id")))
    # Findings stand in an app above this one, so they are asked for from this side of their foreign key.
    waiting = rows.filter(id__in=[document.id for document in shown], findings__state="open")
    findings = dict(waiting.values_list("id").annotate(Count("findings")))
    for document in shown:
        document.open_count = findings.get(document.id, 0)
        document.member_count = members.get(document.id, 0)
        document.near_count = max(0, near.get(document.near_duplicates, 0) - 1)
    return shown


def ready(tenant_id: uuid.UUID, document_ids: Iterable[uuid.UUID] | None = None) -> QuerySet[Document]:
    """Documents that datasets can be made of: read, not withdrawn, with text or with pairs whose columns are
    known."""
    found = documents(tenant_id).filter(STATES["ready"])
    return found if document_ids is None else found.filter(id__in=list(document_ids))


def counts(tenant_id: uuid.UUID) -> dict[str, int]:
    """How many documents are in each of the `STATES`, how many are `unsettled` (in work), and `all`."""
    each = {state: Count("id", filter=condition) for state, condition in STATES.items()}
    return Document.objects.of(tenant_id).aggregate(
        **each, unsettled=Count("id", filter=_UNSETTLED), all=Count("id")
    )


def kinds(tenant_id: uuid.UUID) -> list[str]:
    """The formats that the firm has documents of."""
    found = Document.objects.of(tenant_id).exclude(kind="").order_by("kind")
    return list(found.values_list("kind", flat=True).distinct())


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def same_bytes(member: Membership, sha256: str) -> Document | None:
    """The document with these bytes that `member` can see, unless it was refused: that may be tried again."""
    with tenant_scope(member.tenant_id, viewer=member.id):
        found = documents(member.tenant_id).filter(sha256=sha256).exclude(STATES["refused"])
        return found.order_by("created_at").first()


def members(document: Document) -> QuerySet[Document]:
    """The files that came in an archive, or attached to an e-mail, those that need a look first."""
    found = documents(document.tenant_id).filter(parent=document)
    return found.annotate(fine=Q(job__state=JobState.SUCCEEDED)).order_by("fine", "name")


def inside(document: Document) -> list[Document]:
    """What came in a document, and in that again; what is deepest comes first."""
    found: list[Document] = []
    level = [document]
    while level:
        level = list(documents(document.tenant_id).filter(parent__in=level).order_by("name"))
        found = [*level, *found]
    return found


def depth(document: Document) -> int:
    """In how many archives or e-mails a document came, one in the other."""
    return len(_came_in(document))


def came_along(document: Document) -> int:
    """How many files came in the same upload: in the outermost archive or e-mail, and in what is in it."""
    outermost = _came_in(document)[-1] if document.parent_id else document.id
    level, files = [outermost], 0
    while level:
        rows = Document.objects.of(document.tenant_id).filter(parent__in=level)
        level = list(rows.values_list("id", flat=True))
        files += len(level)
    return files


def _came_in(document: Document) -> list[uuid.UUID]:
    """What a document came in, and what that came in, outwards."""
    parents, at = [], document
    while at.parent_id is not None:
        parents.append(at.parent_id)
        at = Document.objects.of(document.tenant_id).only("parent").get(id=at.parent_id)
    return parents


def near_duplicates(document: Document) -> QuerySet[Document]:
    """The documents that say almost the same."""
    if document.near_duplicates is None:
        return Document.objects.none()
    group = documents(document.tenant_id).filter(near_duplicates=document.near_duplicates)
    return group.exclude(id=document.id)


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


def table(document: Document) -> Table | None:
    """The spreadsheet that was uploaded; None for anything else."""
    if not document.data_name or (document.columns is None and document.pairs is not None):
        return None
    return Table.from_json(_read(document, document.data_name))


def pairs(document: Document) -> list[Pair]:
    """The ready-made pairs of a document; none for running text, nor before its columns are chosen."""
    if document.pairs is None:
        return []
    data = _read(document, document.data_name)
    if document.columns is None:
        return pairs_from_json(data)
    return Table.from_json(data).pairs(
        prompt=document.columns["prompt"], completion=document.columns["completion"]
    )


def first_pairs(document: Document, count: int) -> list[Pair]:
    return list(islice(pairs(document), count))


def _read(document: Document, name: str) -> bytes:
    firm = document.tenant
    return storage.get(tenant_id=firm.id, wrapped_key=firm.wrapped_key, name=name)
