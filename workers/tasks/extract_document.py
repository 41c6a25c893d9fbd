from __future__ import annotations

import tempfile
from pathlib import Path

from celery import shared_task

from webapp.core.jobs.models import JobKind
from webapp.core.tenancy import tenant_scope
from webapp.documents import selectors, services
from workers.extraction import ExtractionRefused
from workers.extraction.sandbox import extract_in_child
from workers.tasks.run_job import Held, JobFailed, Record, run_job


@shared_task(name=JobKind.EXTRACT.task)
def extract_document() -> None:
    """Read waiting documents."""
    run_job(JobKind.EXTRACT, _extract)


def _extract(held: Held) -> Record:
    with tenant_scope(held.claim.tenant_id):
        document = selectors.document(held.claim.tenant_id, held.claim.object_id)
        firm = document.tenant
        data = selectors.original(document)
    # The parser reads a plain file: it lives only as long as the reading, where only this user can see it.
    with tempfile.TemporaryDirectory(prefix="housestyle-") as folder:
        path = Path(folder) / "upload"
        path.write_bytes(data)
        try:
            found = extract_in_child(path, document.name)
        except ExtractionRefused as refused:
            raise JobFailed(refused.message) from None

    def record() -> None:
        document.tenant = firm
        services.record_text(document=document, layout=found.layout, pages=found.pages, kind=found.kind)

    return record
