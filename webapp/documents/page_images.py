"""Pages of an original as pictures, to read beside the text. A worker draws them, a few at a time."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction

from webapp.core import storage
from webapp.core.errors import NotFound
from webapp.core.jobs import services as jobs
from webapp.core.jobs.models import ENDED, Job, JobKind, JobState
from webapp.documents.models import Document, PageImage

DRAWN = frozenset({"pdf", "docx", "doc", "odt", "rtf", "wpd"})  # kinds whose pages have a look of their own
NO_PAGE = "Laid out here, the original has fewer pages than in the program that wrote it; download it."
AHEAD = 8  # pages drawn at once: who looks at one mostly looks at the next


@dataclass(frozen=True)
class PageView:
    """Where a page's picture stands: ready to be shown, being drawn, or why it cannot be."""

    number: int
    ready: bool
    drawing: bool = False
    reason: str = ""


@transaction.atomic
def look(document: Document, number: int) -> PageView:
    """What there is to see of a page; asks for it and the next few where nobody has looked yet."""
    if document.pages is None or not 1 <= number <= document.pages:
        raise NotFound
    if document.kind not in DRAWN or document.state not in ("ready", "withdrawn"):
        return PageView(number, ready=False)
    images = PageImage.objects.of(document.tenant_id).filter(document=document)
    drawn = images.filter(number=number, answered=True).first()
    if drawn is not None:
        return PageView(number, ready=bool(drawn.stored_name), reason="" if drawn.stored_name else NO_PAGE)
    last = Job.objects.filter(tenant_id=document.tenant_id, kind=JobKind.RENDER, object_id=document.id)
    latest = last.order_by("-queued_at").first()
    if latest is not None and latest.state in ENDED and latest.state != JobState.SUCCEEDED:
        return PageView(number, ready=False, reason=latest.message)
    pages = range(number, min(number + AHEAD, document.pages + 1))
    wanted = [PageImage(tenant_id=document.tenant_id, document=document, number=page) for page in pages]
    PageImage.objects.bulk_create(wanted, ignore_conflicts=True)
    if latest is None or latest.state != JobState.QUEUED:
        jobs.enqueue(JobKind.RENDER, tenant_id=document.tenant_id, object_id=document.id)
    return PageView(number, ready=False, drawing=True)


def wanted(document: Document) -> list[int]:
    """The numbers of the pages that somebody waits for."""
    rows = PageImage.objects.of(document.tenant_id).filter(document=document, answered=False)
    return list(rows.order_by("number").values_list("number", flat=True))


@transaction.atomic
def record(document: Document, numbers: list[int], images: list[tuple[int, bytes]]) -> None:
    """Keep what was drawn (`(number, PNG)`) of the pages `numbers` that were asked for."""
    firm = document.tenant
    held = Document.objects.of(firm.id).filter(id=document.id).select_for_update(of=("self",), no_key=True)
    if held.first() is None:  # it was deleted meanwhile, and its pictures would stay behind
        return
    rows = PageImage.objects.of(firm.id).filter(document=document)
    for number, data in images:
        stored = storage.put(tenant_id=firm.id, wrapped_key=firm.wrapped_key, area="pages", data=data)
        rows.filter(number=number).update(stored_name=stored.name)
    rows.filter(number__in=numbers).update(answered=True)


def image(document: Document, number: int) -> bytes:
    """A drawn page as PNG. Raises NotFound before it is drawn."""
    found = PageImage.objects.of(document.tenant_id).filter(document=document, number=number).first()
    if found is None or not found.stored_name:
        raise NotFound
    firm = document.tenant
    return storage.get(tenant_id=firm.id, wrapped_key=firm.wrapped_key, name=found.stored_name)
