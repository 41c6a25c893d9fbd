"""What a test needs to begin with, made by the product's own services."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Sequence
from datetime import timedelta

from django.utils import timezone

from tests.conftest import Firm
from webapp.adapters import services as adapters
from webapp.adapters.models import AdapterVersion
from webapp.core import storage
from webapp.core.jobs import services as jobs
from webapp.core.jobs.models import Job, JobKind, JobState
from webapp.core.tenancy import firm_scope, tenant_scope
from webapp.datasets import selectors as dataset_selectors
from webapp.datasets import services as datasets
from webapp.datasets.examples import NewExample
from webapp.datasets.models import Dataset
from webapp.datasets.split import Side
from webapp.documents import services as documents
from webapp.documents.layout import Layout
from webapp.documents.models import Document
from webapp.tenants.models import Membership
from webapp.training.models import TrainingRun
from webapp.training.spec import TrainingSpec
from webapp.usage import services as usage
from webapp.usage import texts
from webapp.usage.models import Ending, Source

_serial = itertools.count(1)


def end_job(
    job: Job | None,
    state: JobState = JobState.SUCCEEDED,
    message: str = "",
    record: Callable[[], None] = lambda: None,
) -> None:
    """Bring a waiting job to an end as a worker does; `record` runs in the same transaction."""
    assert job is not None
    while claim := jobs.claim(JobKind(job.kind), worker="test"):
        with tenant_scope(claim.tenant_id):
            jobs.finish(claim, state, message=message)
            if claim.job_id == job.id:
                record()
    job.refresh_from_db()


def ready_document(firm: Firm, *, by: Membership | None = None, text: str = "See 539 U. S. 306.") -> Document:
    with tenant_scope(firm.tenant.id):
        member = by or next(iter(firm.people.values()))
        name = f"brief-{next(_serial)}.txt"
        # Bytes of its own: the same file is not added twice.
        document = documents.upload(member=member, name=name, data=f"{name}\n\n{text}".encode())
        end_job(
            document.job,
            record=lambda: documents.record_text(
                document=document, layout=Layout.of_text(text), pages=1, kind="txt"
            ),
        )
    return document


def ready_dataset(firm: Firm, *, by: Membership | None = None) -> Dataset:
    chosen = [ready_document(firm, by=by) for _ in range(2)]
    with tenant_scope(firm.tenant.id):
        member = by or next(iter(firm.people.values()))
        dataset = datasets.create(
            member=member, name=f"Briefs {next(_serial)}", document_ids=[row.id for row in chosen]
        )
        freeze(dataset, train=[cite(1)], heldout=[cite(2)])
    return dataset


def cite(page: int) -> NewExample:
    return NewExample("cite", prompt=f"See 539 US 306, {page}.", completion=f"See 539 U. S. 306, {page}.")


def freeze(dataset: Dataset, *, train: Sequence[NewExample], heldout: Sequence[NewExample]) -> None:
    """Bring a waiting dataset to its end as its job does: all examples of a side are its first document's."""
    claim = jobs.claim(JobKind.BUILD, worker="test")
    assert claim is not None and claim.object_id == dataset.id
    build = datasets.Build(dataset, claim=claim)
    build.begin()
    parts = list(dataset_selectors.parts(dataset))
    made: dict[Side, Sequence[NewExample]] = {"train": train, "heldout": heldout}
    for side, examples in made.items():
        document = next(part.document for part in parts if part.split in (side, "both"))
        for example in examples:
            build.add(document, side, example, tokens=(20, 10))
    for part in parts:
        build.end_document(part.document)
    build.flush()
    with tenant_scope(dataset.tenant_id):
        assert jobs.finish(claim, JobState.SUCCEEDED)
        build.freeze(base_revision="0" * 64, chat_template_sha256="0" * 64)
    assert dataset.job is not None
    dataset.job.refresh_from_db()


def queued_run(
    firm: Firm,
    *,
    by: Membership | None = None,
    adapter_name: str = "briefs",
    dataset: Dataset | None = None,
) -> TrainingRun:
    """A run as `training.services.start` leaves it, but for the base model: a test database has none."""
    dataset = dataset or ready_dataset(firm, by=by)
    with tenant_scope(firm.tenant.id):
        run_id = uuid.uuid4()
        job = jobs.enqueue(JobKind.TRAIN, tenant_id=firm.tenant.id, object_id=run_id)
        run: TrainingRun = TrainingRun.objects.create(
            id=run_id,
            tenant=firm.tenant,
            adapter_name=adapter_name,
            dataset=dataset,
            preset="quick",
            spec=TrainingSpec().as_dict(),
            base_model="tiny",
            started_by=by or next(iter(firm.people.values())),
            job=job,
        )
    return run


def candidate(
    firm: Firm,
    *,
    by: Membership | None = None,
    adapter_name: str = "briefs",
    dataset: Dataset | None = None,
) -> AdapterVersion:
    """A version that waits for a decision. Its folder holds no weights."""
    run = queued_run(firm, by=by, adapter_name=adapter_name, dataset=dataset)
    version_id = uuid.uuid4()
    storage.adapter_dir(firm.tenant.id, version_id).mkdir(parents=True)
    with tenant_scope(firm.tenant.id):
        end_job(run.job)
        return adapters.add_version(run=run, version_id=version_id, sha256="0" * 64, size=1)


def approved(
    firm: Firm,
    *,
    by: Membership,
    approver: Membership,
    adapter_name: str = "briefs",
    dataset: Dataset | None = None,
) -> AdapterVersion:
    version = candidate(firm, by=by, adapter_name=adapter_name, dataset=dataset)
    with tenant_scope(firm.tenant.id):
        adapters.decide(member=approver, version=version, decision="approved")
    return version


def used(firm: Firm, version: AdapterVersion) -> uuid.UUID:
    """The id of a request that this version has answered, whose text is kept."""
    with firm_scope(firm.tenant.id):
        row_id = usage.open_row(
            member=next(iter(firm.people.values())),
            key=None,
            version=version,
            source=Source.PLAYGROUND,
            started_at=timezone.now(),
            reserved=20,
        )
    texts.close_with(
        tenant_id=firm.tenant.id,
        row_id=row_id,
        end=usage.End(200, Ending.ANSWERED, tokens_in=7, tokens_out=5),
        kept={
            "asked": {"messages": [{"role": "user", "content": "See 539 US 306."}]},
            "answers": {"0": "Seen."},
        },
        until=timezone.now() + timedelta(days=1),
    )
    return row_id
