from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Sequence

from django.db import transaction

from webapp.audit import services as audit
from webapp.core.errors import Conflict, Invalid
from webapp.core.jobs import services as jobs
from webapp.core.jobs.models import Job, JobKind
from webapp.datasets import split
from webapp.datasets.examples import ExampleDraft
from webapp.datasets.models import Dataset, DatasetDocument, Example, Split
from webapp.documents import selectors as documents
from webapp.documents.models import Document
from webapp.tenants.models import Membership
from webapp.tenants.permissions import Action, require

MIN_DOCUMENTS = 2
BATCH = 1000


@transaction.atomic
def create(
    *,
    member: Membership,
    name: str,
    document_ids: Iterable[uuid.UUID],
    heldout_share: float = 0.15,
    seed: int = 0,
) -> Dataset:
    """A dataset of these documents, split by document at once; its examples are made by a job.

    Raises Invalid when a document is not ready or there are too few to hold one out.
    """
    require(member, Action.BUILD)
    wanted = set(document_ids)
    chosen = list(documents.ready(member.tenant_id, wanted).order_by("created_at", "id"))
    problems: dict[str, str] = {}
    if not name.strip():
        problems["name"] = "Give the dataset a name."
    if len(chosen) != len(wanted):
        problems["documents"] = "Choose only documents that are ready."
    elif len(chosen) < MIN_DOCUMENTS:
        problems["documents"] = "Choose at least two ready documents: one is held out to measure with."
    if not 0.05 <= heldout_share <= 0.5:
        problems["heldout_share"] = "Hold out between 5% and 50% of the documents."
    if problems:
        raise Invalid(" ".join(problems.values()), fields=problems)
    dataset_id = uuid.uuid4()
    job = jobs.enqueue(JobKind.BUILD, tenant_id=member.tenant_id, object_id=dataset_id)
    dataset = Dataset.objects.create(
        id=dataset_id,
        tenant_id=member.tenant_id,
        name=name.strip()[:200],
        seed=seed,
        heldout_share=heldout_share,
        created_by=member,
        job=job,
    )
    sides = split.split_by_document([str(document.id) for document in chosen], heldout_share, seed)
    DatasetDocument.objects.bulk_create(
        DatasetDocument(
            tenant_id=member.tenant_id, dataset=dataset, document=document, split=sides[str(document.id)]
        )
        for document in chosen
    )
    audit.record(
        tenant_id=member.tenant_id,
        actor=member,
        action="dataset.created",
        target=dataset,
        documents=[str(document.id) for document in chosen],
    )
    return dataset


@transaction.atomic
def record_examples(
    *, dataset: Dataset, drafts: Sequence[tuple[Document, str, Sequence[ExampleDraft]]]
) -> None:
    """Freeze the dataset: its examples, their counts and the SHA-256 over all of them.

    `drafts` holds, for each document, its side of the split and what was made from it.
    """
    digest = hashlib.sha256()
    rows: list[Example] = []
    for document, side, made in drafts:
        for draft in made:
            row = Example(
                tenant_id=dataset.tenant_id,
                dataset=dataset,
                document=document,
                split=side,
                position=len(rows),
                kind=draft.kind,
                prompt=draft.prompt,
                completion=draft.completion,
            )
            digest.update(json.dumps(as_line(row), sort_keys=True).encode() + b"\n")
            rows.append(row)
    Example.objects.bulk_create(rows, batch_size=BATCH)
    dataset.sha256 = digest.hexdigest()
    dataset.train_examples = sum(row.split == Split.TRAIN for row in rows)
    dataset.heldout_examples = len(rows) - dataset.train_examples
    dataset.save(update_fields=["sha256", "train_examples", "heldout_examples"])


def as_line(example: Example) -> dict[str, str]:
    """An example as the trainer reads it (one JSON line)."""
    return {"split": example.split, "prompt": example.prompt, "completion": example.completion}


@transaction.atomic
def delete(*, member: Membership, dataset: Dataset) -> None:
    """Remove a dataset that no run has learned from. Raises Conflict otherwise."""
    require(member, Action.BUILD)
    if not dataset.job.has_ended:
        raise Conflict("This dataset is still being built; wait for it to finish, then delete it.")
    if dataset.runs.exists():
        raise Conflict("A training run learned from this dataset, so it must stay as evidence.")
    audit.record(tenant_id=member.tenant_id, actor=member, action="dataset.deleted", target=dataset)
    job_id = dataset.job_id
    dataset.delete()
    Job.objects.filter(id=job_id).delete()
