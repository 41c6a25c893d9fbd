"""What learned from a document: datasets, the runs on them, the adapter versions that came of those."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from webapp.adapters import selectors as adapters
from webapp.adapters.models import AdapterVersion
from webapp.datasets import selectors as datasets
from webapp.datasets.models import Dataset
from webapp.documents.models import Document
from webapp.serving import selectors as serving
from webapp.serving.models import Deployment
from webapp.training import selectors as training
from webapp.training.models import TrainingRun

T = TypeVar("T")


@dataclass(frozen=True)
class LearnedRun:
    """A run on a dataset that holds the document, and what came of it. `live` is its open deployment."""

    run: TrainingRun
    version: AdapterVersion | None
    live: Deployment | None
    was_live: list[Deployment] = field(default_factory=list)


@dataclass(frozen=True)
class LearnedDataset:
    """A dataset that holds the document. `followed_by` is a later version of it that does not."""

    dataset: Dataset
    runs: list[LearnedRun]
    followed_by: Dataset | None


@dataclass(frozen=True)
class Lineage:
    """Everything that a viewer may see of what learned from a document, the newest first."""

    datasets: list[LearnedDataset]

    @property
    def live(self) -> list[LearnedRun]:
        """What answers the firm's programs now and has learned from the document."""
        return [run for learned in self.datasets for run in learned.runs if run.live is not None]


def learned_from(document: Document) -> Lineage:
    """Whose weights know the document. The number of queries does not grow with what is found."""
    tenant_id = document.tenant_id
    holding = list(datasets.with_document(document))
    runs = _by(training.runs(tenant_id).filter(dataset__in=holding), lambda run: run.dataset_id)
    versions = {
        version.run_id: version for version in adapters.versions(tenant_id).filter(run__dataset__in=holding)
    }
    deployments = _by(
        serving.deployments(tenant_id).filter(version__in=list(versions.values())),
        lambda deployment: deployment.version_id,
    )
    held = {dataset.id for dataset in holding}
    families = datasets.datasets(tenant_id).filter(family__in={dataset.family for dataset in holding})
    without = _by(
        (row for row in families.exclude(job=None).order_by("-version") if row.id not in held),
        lambda row: row.family,
    )
    found = []
    for dataset in holding:
        later = [row for row in without[dataset.family] if row.version > dataset.version]
        learned = [_learned(run, versions.get(run.id), deployments) for run in runs[dataset.id]]
        found.append(LearnedDataset(dataset, learned, later[0] if later else None))
    return Lineage(found)


def _learned(
    run: TrainingRun, version: AdapterVersion | None, deployments: dict[object, list[Deployment]]
) -> LearnedRun:
    past = deployments[version.id] if version else []
    live = next((row for row in past if row.live_until is None), None)
    return LearnedRun(run, version, live, [row for row in past if row.live_until is not None])


def _by(rows: Iterable[T], key: Callable[[T], object]) -> dict[object, list[T]]:
    grouped: dict[object, list[T]] = defaultdict(list)
    for row in rows:
        grouped[key(row)].append(row)
    return grouped
