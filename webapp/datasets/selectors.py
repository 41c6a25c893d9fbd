from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet

from webapp.core.errors import NotFound
from webapp.core.jobs.models import JobState
from webapp.datasets.models import Dataset, DatasetDocument, DatasetMatter, Example, ExampleChange
from webapp.documents.models import Document


def datasets(tenant_id: uuid.UUID) -> QuerySet[Dataset]:
    return Dataset.objects.of(tenant_id).select_related("job", "parent", "created_by__user")


def dataset(tenant_id: uuid.UUID, dataset_id: uuid.UUID) -> Dataset:
    """The gate to a dataset. Raises NotFound for everybody outside the firm."""
    found = datasets(tenant_id).filter(id=dataset_id).first()
    if found is None:
        raise NotFound
    return found


def ready(tenant_id: uuid.UUID) -> QuerySet[Dataset]:
    """Datasets that a run can learn from."""
    return datasets(tenant_id).filter(job__state=JobState.SUCCEEDED)


def versions(dataset: Dataset) -> QuerySet[Dataset]:
    """All versions of the same dataset, an open draft among them, the newest first."""
    return datasets(dataset.tenant_id).filter(family=dataset.family).order_by("-version")


def parts(dataset: Dataset) -> QuerySet[DatasetDocument]:
    """The dataset's documents and the side of the split each is on, training first."""
    return (
        DatasetDocument.objects.of(dataset.tenant_id)
        .filter(dataset=dataset)
        .select_related("document")
        .defer("document__signature", "document__bands")
        .order_by("-split", "document__name", "document_id")
    )


def withdrawn(dataset: Dataset) -> QuerySet[DatasetDocument]:
    """Those of its documents that were withdrawn since."""
    return parts(dataset).filter(document__withdrawn_at__isnull=False)


def matters(dataset: Dataset) -> QuerySet[DatasetMatter]:
    """The matters that the dataset carries."""
    found = DatasetMatter.objects.of(dataset.tenant_id).filter(dataset=dataset)
    return found.select_related("matter").order_by("matter__name")


def places(tenant_id: uuid.UUID, documents: Iterable[Document]) -> QuerySet[DatasetDocument]:
    """Where these documents are part of a dataset, drafts among them; the newest version first."""
    found = DatasetDocument.objects.of(tenant_id).filter(document__in=list(documents))
    return found.select_related("dataset__job", "dataset__created_by__user").order_by(
        "-dataset__created_at", "dataset_id"
    )


def with_withdrawn(tenant_id: uuid.UUID, datasets: Iterable[Dataset]) -> set[uuid.UUID]:
    """The ids of those that hold any document withdrawn since."""
    found = DatasetDocument.objects.of(tenant_id).filter(dataset__in=list(datasets))
    return set(found.filter(document__withdrawn_at__isnull=False).values_list("dataset_id", flat=True))


def examples_made(
    tenant_id: uuid.UUID, datasets: Iterable[Dataset], documents: Iterable[Document]
) -> dict[uuid.UUID, int]:
    """How many examples each of the datasets has of these documents; those with none are absent."""
    found = Example.objects.of(tenant_id).filter(dataset__in=list(datasets), document__in=list(documents))
    return dict(found.order_by().values_list("dataset").annotate(Count("id")))


def examples(
    dataset: Dataset, *, split: str = "", kind: str = "", search: str = "", changed: bool = False
) -> QuerySet[Example]:
    """A dataset's examples in order. A draft shows its parent's, with `changed` those that it changes."""
    of = dataset.parent if dataset.state == "draft" and dataset.parent else dataset
    found = Example.objects.of(dataset.tenant_id).filter(dataset=of)
    if split:
        found = found.filter(split=split)
    if kind:
        found = found.filter(kind=kind)
    if search:
        found = found.filter(Q(prompt__icontains=search) | Q(completion__icontains=search))
    if changed:
        found = found.filter(changes__dataset=dataset)
    return (
        found.select_related("document").defer("document__signature", "document__bands").order_by("position")
    )


def example(dataset: Dataset, position: int) -> Example:
    """The example at a position; of a draft, that of its parent. Raises NotFound."""
    found = examples(dataset).filter(position=position).first()
    if found is None:
        raise NotFound
    return found


@dataclass(frozen=True)
class Slice:
    """Some examples in order. `before` and `after` are the positions that the neighbouring slices are asked
    for with; None where there is no neighbour."""

    rows: list[Example]
    before: int | None
    after: int | None


def slice_of(
    found: QuerySet[Example], size: int, *, after: int | None = None, before: int | None = None
) -> Slice:
    """`size` examples behind the position `after`, or those before `before`, without counting the rest."""
    if before is not None:
        rows = list(found.filter(position__lt=before).order_by("-position")[: size + 1])
        more_before, more_after = len(rows) > size, True
        rows = rows[size - 1 :: -1] if more_before else rows[::-1]
    else:
        rows = list((found if after is None else found.filter(position__gt=after))[: size + 1])
        more_before, more_after = after is not None, len(rows) > size
        rows = rows[:size]
    if not rows:
        return Slice([], None, None)
    return Slice(rows, rows[0].position if more_before else None, rows[-1].position if more_after else None)


def changes(draft: Dataset, rows: Iterable[Example] | None = None) -> QuerySet[ExampleChange]:
    """What a draft does to its parent's examples, or to these of them, in order."""
    found = ExampleChange.objects.of(draft.tenant_id).filter(dataset=draft)
    if rows is not None:
        found = found.filter(example__in=list(rows))
    return found.select_related("changed_by__user").order_by("example__position")
