from __future__ import annotations

import uuid

from django.db.models import QuerySet

from webapp.core.errors import NotFound
from webapp.core.jobs.models import JobState
from webapp.datasets.models import Dataset, DatasetDocument, Example


def datasets(tenant_id: uuid.UUID) -> QuerySet[Dataset]:
    return Dataset.objects.of(tenant_id).select_related("job", "created_by__user")


def dataset(tenant_id: uuid.UUID, dataset_id: uuid.UUID) -> Dataset:
    """The gate to a dataset. Raises NotFound for everybody outside the firm."""
    found = datasets(tenant_id).filter(id=dataset_id).first()
    if found is None:
        raise NotFound
    return found


def ready(tenant_id: uuid.UUID) -> QuerySet[Dataset]:
    """Datasets that a run can learn from."""
    return datasets(tenant_id).filter(job__state=JobState.SUCCEEDED)


def parts(dataset: Dataset) -> QuerySet[DatasetDocument]:
    """The dataset's documents and the side of the split each is on, training first."""
    return (
        DatasetDocument.objects.of(dataset.tenant_id)
        .filter(dataset=dataset)
        .select_related("document")
        .order_by("-split", "document__name")
    )


def examples(dataset: Dataset, *, split: str = "") -> QuerySet[Example]:
    found = Example.objects.of(dataset.tenant_id).filter(dataset=dataset).select_related("document")
    return found.filter(split=split) if split else found
