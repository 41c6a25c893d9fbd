from __future__ import annotations

from celery import shared_task

from webapp.core.errors import Invalid
from webapp.core.jobs.models import JobKind
from webapp.core.tenancy import firm_scope
from webapp.documents import selectors, services
from webapp.documents.models import Document
from webapp.documents.pairs import layout_of
from webapp.findings import services as findings
from workers import similarity
from workers.extraction import Extracted, ExtractionRefused
from workers.extraction.sandbox import extract_in_child
from workers.tasks.plain_file import plain_file
from workers.tasks.run_job import Held, JobFailed, Record, run_job


@shared_task(name=JobKind.EXTRACT.task)
def extract_document() -> None:
    """Read waiting documents."""
    run_job(JobKind.EXTRACT, _extract)


def _extract(held: Held) -> Record:
    with firm_scope(held.claim.tenant_id):
        document = selectors.document(held.claim.tenant_id, held.claim.object_id)
        firm = document.tenant
        depth = selectors.depth(document)
        data = selectors.original(document)
    with plain_file(data) as path:
        try:
            found = extract_in_child(path, document.name, depth=depth)
        except ExtractionRefused as refused:
            raise JobFailed(refused.message) from None
    signature = similarity.signature(found.text)
    bands = similarity.bands(signature)

    def record() -> None:
        document.tenant = firm
        try:
            _record(document, found)
        except Invalid as too_much:
            raise JobFailed(too_much.message) from None
        services.record_likeness(document=document, signature=signature, bands=bands)

    return record


def _record(document: Document, found: Extracted) -> None:
    services.record_text(
        document=document,
        layout=found.layout,
        pages=found.pages,
        kind=found.kind,
        ocr_confidence=found.ocr_confidence,
    )
    if found.table is not None:
        services.record_table(document=document, table=found.table)
    elif found.pairs:
        services.record_pairs(document=document, pairs=found.pairs)
    findings.scan(document=document, layout=layout_of(found.pairs) if found.pairs else found.layout)
    if found.members:
        files = ((member.name, member.data) for member in found.members)
        services.add_members(document=document, files=files)
