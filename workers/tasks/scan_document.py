from __future__ import annotations

from celery import shared_task

from webapp.core.jobs.models import JobKind
from webapp.core.tenancy import firm_scope
from webapp.documents import selectors
from webapp.findings import services as findings
from workers.tasks.run_job import Held, Record, run_job


@shared_task(name=JobKind.SCAN.task)
def scan_document() -> None:
    """Look through the pairs of tables whose columns somebody has chosen."""
    run_job(JobKind.SCAN, _scan)


def _scan(held: Held) -> Record:
    with firm_scope(held.claim.tenant_id):
        document = selectors.document(held.claim.tenant_id, held.claim.object_id)
        layout = selectors.layout(document)

    def record() -> None:
        findings.scan(document=document, layout=layout)

    return record
