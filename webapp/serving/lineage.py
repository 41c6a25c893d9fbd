"""What learned from a document: datasets, the runs on them, the adapter versions that came of those."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from webapp.adapters import selectors as adapters
from webapp.adapters.models import AdapterVersion
from webapp.datasets import selectors as datasets
from webapp.datasets.models import Dataset, DatasetDocument, Side
from webapp.documents import selectors as documents
from webapp.documents.models import Document
from webapp.serving import selectors as serving
from webapp.serving.models import Deployment
from webapp.training import selectors as training
from webapp.training.models import TrainingRun

T = TypeVar("T")
K = TypeVar("K")


@dataclass(frozen=True)
class LearnedRun:
    """A run on a dataset that holds the document, and what came of it. `live` is its open deployment."""

    run: TrainingRun
    version: AdapterVersion | None
    live: Deployment | None
    was_live: list[Deployment] = field(default_factory=list)

    @property
    def times_live(self) -> list[Deployment]:
        """The latest first; the first has no end while it is live."""
        return [self.live, *self.was_live] if self.live else self.was_live


@dataclass(frozen=True)
class LearnedDataset:
    """A version of a dataset that holds the document, and how many `examples` it has of it.

    `trained` tells it from one that holds the document out: what is measured with it has not learned from it.
    `withdrawn` is whether what it holds of the document was withdrawn since, `trained_withdrawn` whether that
    is trained on.
    """

    dataset: Dataset
    runs: list[LearnedRun]
    examples: int
    trained: bool
    withdrawn: bool
    trained_withdrawn: bool

    @property
    def live(self) -> list[LearnedRun]:
        return [run for run in self.runs if run.live is not None]


@dataclass(frozen=True)
class LearnedFamily:
    """The versions of one dataset that hold the document, the newest first.

    When it was withdrawn: `to_remake` is the newest frozen one, until there is a later version `without` it.
    `trainable` is whether that is frozen and nothing else in it was withdrawn.
    """

    versions: list[LearnedDataset]
    to_remake: Dataset | None = None
    without: Dataset | None = None
    trainable: bool = False

    @property
    def newest(self) -> Dataset:
        return self.versions[0].dataset


@dataclass(frozen=True)
class Lineage:
    """Everything that a viewer may see of what learned from a document, and from what came in it."""

    families: list[LearnedFamily]

    @property
    def datasets(self) -> list[LearnedDataset]:
        return [learned for family in self.families for learned in family.versions]

    @property
    def versions(self) -> list[AdapterVersion]:
        """The adapter versions that learned from the document."""
        runs = (run for learned in self.datasets if learned.trained for run in learned.runs)
        return [run.version for run in runs if run.version is not None]

    @property
    def live(self) -> list[LearnedRun]:
        """What answers the firm's programs now and has learned from the document."""
        return [run for learned in self.datasets if learned.trained for run in learned.live]

    @property
    def live_ids(self) -> list[uuid.UUID]:
        return [run.version.id for run in self.live if run.version is not None]

    @property
    def to_replace(self) -> list[LearnedRun]:
        """What is live and has learned from something that was withdrawn."""
        return [run for learned in self.datasets if learned.trained_withdrawn for run in learned.live]


def learned_from(document: Document) -> Lineage:
    """Whose weights know the document. The number of queries does not grow with what is found."""
    tenant_id = document.tenant_id
    whole = [document, *documents.inside(document)]
    places = _by(datasets.places(tenant_id, whole), lambda place: place.dataset)
    holding = list(places)
    gone = {found.id for found in whole if found.withdrawn_at is not None}
    examples = datasets.examples_made(tenant_id, holding, whole)
    runs = _by(training.runs(tenant_id).filter(dataset__in=holding), lambda run: run.dataset_id)
    versions = {
        version.run_id: version for version in adapters.versions(tenant_id).filter(run__dataset__in=holding)
    }
    deployments = _by(
        serving.deployments(tenant_id).filter(version__in=list(versions.values())),
        lambda deployment: deployment.version_id,
    )
    families: dict[uuid.UUID, list[LearnedDataset]] = defaultdict(list)
    for dataset in holding:
        learned = [_learned(run, versions.get(run.id), deployments) for run in runs[dataset.id]]
        families[dataset.family].append(
            _learned_dataset(dataset, places[dataset], learned, examples.get(dataset.id, 0), gone)
        )
    every = _by(
        datasets.datasets(tenant_id).filter(family__in=list(families)).order_by("-version"),
        lambda dataset: dataset.family,
    )
    spoiled = datasets.with_withdrawn(tenant_id, [row for rows in every.values() for row in rows])
    return Lineage([_family(found, every[family], spoiled) for family, found in families.items()])


def _learned(
    run: TrainingRun, version: AdapterVersion | None, deployments: dict[uuid.UUID, list[Deployment]]
) -> LearnedRun:
    past = deployments[version.id] if version else []
    live = next((row for row in past if row.live_until is None), None)
    return LearnedRun(run, version, live, [row for row in past if row.live_until is not None])


def _learned_dataset(
    dataset: Dataset,
    places: Sequence[DatasetDocument],
    runs: list[LearnedRun],
    examples: int,
    gone: set[uuid.UUID],
) -> LearnedDataset:
    trained = {place.document_id for place in places if place.split != Side.HELDOUT}
    return LearnedDataset(
        dataset=dataset,
        runs=runs,
        examples=examples,
        trained=bool(trained),
        withdrawn=any(place.document_id in gone for place in places),
        trained_withdrawn=bool(trained & gone),
    )


def _family(found: list[LearnedDataset], every: Iterable[Dataset], spoiled: set[uuid.UUID]) -> LearnedFamily:
    """`every` are all versions of the family, the newest first."""
    found = sorted(found, key=lambda learned: -learned.dataset.version)
    holds = {learned.dataset.id for learned in found if learned.withdrawn}
    frozen = (learned.dataset for learned in found if learned.withdrawn and learned.dataset.state == "ready")
    last = next(frozen, None)
    if last is None:
        return LearnedFamily(found)
    later = (row for row in every if row.version > last.version and row.id not in holds)
    without = next((row for row in later if row.state in ("queued", "building", "ready")), None)
    if without is None:
        return LearnedFamily(found, to_remake=last)
    trainable = without.state == "ready" and without.id not in spoiled
    return LearnedFamily(found, without=without, trainable=trainable)


def _by(rows: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    grouped: dict[K, list[T]] = defaultdict(list)
    for row in rows:
        grouped[key(row)].append(row)
    return grouped
