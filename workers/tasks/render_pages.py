from __future__ import annotations

from celery import shared_task

from webapp.core.jobs.models import JobKind
from webapp.core.tenancy import firm_scope
from webapp.documents import page_images, selectors
from workers.extraction import ExtractionRefused
from workers.extraction.render import render_pages
from workers.tasks.plain_file import plain_file
from workers.tasks.run_job import Held, JobFailed, Record, run_job


@shared_task(name=JobKind.RENDER.task)
def draw_pages() -> None:
    """Draw the pages of originals that somebody looks at."""
    run_job(JobKind.RENDER, _draw)


def _draw(held: Held) -> Record:
    with firm_scope(held.claim.tenant_id):
        document = selectors.document(held.claim.tenant_id, held.claim.object_id)
        firm = document.tenant
        numbers = page_images.wanted(document)
        data = selectors.original(document)
    with plain_file(data) as path:
        try:
            images = render_pages(path, document.name, numbers) if numbers else []
        except ExtractionRefused as refused:
            raise JobFailed(refused.message) from None

    def record() -> None:
        document.tenant = firm
        page_images.record(document, numbers, images)

    return record
