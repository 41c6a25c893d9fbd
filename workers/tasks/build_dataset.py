from __future__ import annotations

from celery import shared_task

from webapp.core.jobs.models import JobKind
from webapp.core.tenancy import firm_scope
from webapp.datasets import selectors, services
from webapp.datasets.examples import ExampleDraft, build_examples
from webapp.datasets.models import Split
from webapp.documents import selectors as documents
from webapp.documents.models import Document
from workers.tasks.run_job import Held, JobFailed, Record, run_job


@shared_task(name=JobKind.BUILD.task)
def build_dataset() -> None:
    """Make the examples of waiting datasets."""
    run_job(JobKind.BUILD, _build)


def _build(held: Held) -> Record:
    tenant_id = held.claim.tenant_id
    with firm_scope(tenant_id):
        dataset = selectors.dataset(tenant_id, held.claim.object_id)
        parts = list(selectors.parts(dataset).select_related("document__tenant"))
    drafts: list[tuple[Document, str, list[ExampleDraft]]] = []
    for part in parts:
        held.check()
        drafts.append((part.document, part.split, build_examples(documents.text(part.document))))
    for side in Split:
        if not any(made for _, split, made in drafts if split == side):
            raise JobFailed(
                f"No {side.label.lower()} examples could be made from these documents: they hold too "
                "little running text. Add longer documents and build again."
            )

    def record() -> None:
        services.record_examples(dataset=dataset, drafts=drafts)

    return record
