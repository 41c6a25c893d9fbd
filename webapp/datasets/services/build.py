"""What a worker writes of a dataset while it builds it."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection

from webapp.core.jobs import services as jobs
from webapp.core.jobs.services import Claim
from webapp.core.tenancy import firm_scope
from webapp.datasets import manifest, models
from webapp.datasets.examples import BUILDER_VERSION, NewExample
from webapp.datasets.leaks import Sieve
from webapp.datasets.models import Dataset, DatasetDocument, DatasetMatter, Example, Split
from webapp.datasets.profile import ProfileBuilder
from webapp.datasets.quality import QualityBuilder
from webapp.datasets.split import Side
from webapp.documents.layout import Block
from webapp.documents.models import Document

BATCH = 500
PROGRESS_SECONDS = 1.0
LARGE = 5000  # examples, from which on the database should look its table over at once
NAMED = 3  # documents that a sentence names


class Build:
    """One claim's work on a dataset. Examples pass through it in order, those to train on first, and are kept
    in batches, so that its memory does not grow with them; every batch is a short transaction of its own,
    fenced by the claim.

    Raises LeaseLost from whatever writes, once another worker has the job.
    """

    def __init__(self, dataset: Dataset, *, claim: Claim) -> None:
        self.dataset = dataset
        self.claim = claim
        self._findings: list[dict[str, Any]] = []
        self._fingerprint = manifest.Fingerprint()
        self._profile = ProfileBuilder()
        self._quality = QualityBuilder(max_tokens=dataset.max_tokens)
        self._sieve = Sieve()
        self._made: Counter[uuid.UUID] = Counter()  # examples of each document
        self._copies: Counter[str] = Counter()  # held-out examples that were left out, by document
        self._alike: Counter[uuid.UUID] = Counter()  # documents of each group of near-duplicates
        self._rows: list[Example] = []
        self._done = 0
        self._began = self._written = time.monotonic()
        self._seconds_left: float | None = None

    def begin(self) -> None:
        """Remove what a worker before, which died, has left of the dataset."""
        with firm_scope(self.claim.tenant_id):
            jobs.fence(self.claim)
            Example.objects.of(self.claim.tenant_id).filter(dataset=self.dataset).delete()
            self._progress()

    def add(self, document: Document, side: Side, example: NewExample, tokens: tuple[int, int]) -> None:
        """The next example, unless one before it said the same.

        `tokens` counts those of the prompt in its chat template, and those that count in the loss.
        """
        if not self._sieve.keep(side, example):
            self._copies[document.name] += side == "heldout"
            return
        row = Example(
            tenant_id=self.claim.tenant_id,
            dataset=self.dataset,
            document=document,
            split=side,
            position=sum(self._sieve.kept.values()) - 1,
            kind=example.kind,
            context=list(example.context),
            prompt=example.prompt,
            completion=example.completion,
            source=example.source,
            prompt_tokens=tokens[0],
            completion_tokens=tokens[1],
        )
        self._made[document.id] += 1
        self._fingerprint.add(row)
        self._quality.add_example(
            kind=row.kind,
            split=side,
            prompt_tokens=row.prompt_tokens,
            completion_tokens=row.completion_tokens,
        )
        self._rows.append(row)
        if len(self._rows) >= BATCH:
            self.flush()

    def add_style(self, blocks: Sequence[Block]) -> None:
        """Words of the house, for the profile of its style."""
        self._profile.add(blocks)

    def add_findings(self, findings: Iterable[dict[str, Any]]) -> None:
        """How the findings of a document stood when its examples were made."""
        self._findings += findings

    def end_document(self, document: Document, *, footnote_words: int = 0) -> None:
        """All examples of a document have passed."""
        self._quality.add_document(
            name=document.name,
            document_id=str(document.id),
            examples=self._made[document.id],
            words=document.words or 0,
            footnote_words=footnote_words,
            ocr_confidence=document.ocr_confidence,
        )
        if document.near_duplicates is not None:
            self._alike[document.near_duplicates] += 1

    def report_progress(self, *, documents_done: int, share: float) -> None:
        """How far the build is, `share` of its work being behind it; written once a second at most."""
        now = time.monotonic()
        self._done = documents_done
        self._seconds_left = (now - self._began) * (1 - share) / share if share else None
        if now - self._written >= PROGRESS_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Keep what has gathered."""
        with firm_scope(self.claim.tenant_id):
            jobs.fence(self.claim)
            Example.objects.bulk_create(self._rows)
            self._progress()
        self._rows = []
        self._written = time.monotonic()

    def problem(self) -> str:
        """Why this must not become a dataset, in words for the person; empty when it may."""
        if self._sieve.problem:
            names = ", ".join(f"“{name}”" for name, n in self._copies.most_common(NAMED) if n)
            return f"{self._sieve.problem} Most of these stand in {names}."
        for side in Split:
            if not self._sieve.kept[as_side(side)]:
                return f"No {side.label.lower()} examples {self._why_none()}"
        return ""

    def _why_none(self) -> str:
        """The end of a sentence that tells why one side of the split has no examples."""
        if self.dataset.parent:
            return (
                "would be left in this version; take back some changes, or make a new dataset with more "
                "documents in it."
            )
        with firm_scope(self.claim.tenant_id):
            only_pairs = all(part["split"] == models.Side.BOTH for part in parts_of(self.dataset))
        if only_pairs:
            return (
                "are among these ready-made pairs: there are too few that differ, or their file puts all of "
                "them on the other side. Add another file and build again."
            )
        return (
            "could be made from these documents: they hold too little running text. Add longer documents and "
            "build again."
        )

    def forget(self) -> None:
        """Nothing is kept of a build that fails."""
        self._rows, self._done, self._seconds_left = [], 0, None
        self.begin()

    def freeze(self, *, base_revision: str, chat_template_sha256: str) -> None:
        """Give the dataset its manifest, reports and fingerprint, in the transaction that ends its job.

        From then on the database refuses to change it. All examples must have been flushed.
        """
        assert not self._rows, "what was not flushed would be missing"
        dataset = self.dataset
        record_matters(dataset)
        settings = manifest.settings(
            parts=parts_of(dataset),
            matters=matters_of(dataset),
            seed=dataset.seed,
            heldout_share=dataset.heldout_share,
            kinds=dataset.kinds,
            max_tokens=dataset.max_tokens,
            builder_version=BUILDER_VERSION,
            base_revision=base_revision,
            chat_template_sha256=chat_template_sha256,
            findings=self._findings,
            parent_sha256=dataset.parent.sha256 if dataset.parent else "",
        )
        dataset.manifest = self._fingerprint.manifest(settings)
        dataset.profile = self._profile.result()
        dataset.report = self._quality.result(
            findings=self._findings,
            duplicates=sum(self._sieve.removed.values()),
            near_duplicates=sum(documents for documents in self._alike.values() if documents > 1),
        )
        dataset.train_examples = self._sieve.kept["train"]
        dataset.heldout_examples = self._sieve.kept["heldout"]
        dataset.documents_done, dataset.seconds_left = len(dataset.manifest["documents"]), None
        dataset.sha256 = self._fingerprint.sha256(dataset.manifest)
        dataset.save(
            update_fields=[
                "manifest",
                "profile",
                "report",
                "train_examples",
                "heldout_examples",
                "documents_done",
                "seconds_left",
                "sha256",
            ]
        )

        if sum(self._sieve.kept.values()) >= LARGE:
            with connection.cursor() as cursor:
                cursor.execute("SELECT housestyle_analyze_examples()")

    def _progress(self) -> None:
        Dataset.objects.of(self.claim.tenant_id).filter(id=self.dataset.id).update(
            documents_done=self._done, seconds_left=self._seconds_left
        )


def as_side(split: str) -> Side:
    """A split that was read from the database."""
    return "heldout" if split == Split.HELDOUT else "train"


def parts_of(dataset: Dataset) -> list[dict[str, str]]:
    """The documents as a manifest names them."""
    parts = DatasetDocument.objects.of(dataset.tenant_id).filter(dataset=dataset)
    return [
        {"id": str(document_id), "sha256": sha256, "split": split}
        for document_id, sha256, split in parts.values_list("document_id", "document__sha256", "split")
    ]


def matters_of(dataset: Dataset) -> list[str]:
    """The matters as a manifest names them."""
    matters = DatasetMatter.objects.of(dataset.tenant_id).filter(dataset=dataset)
    return [str(matter_id) for matter_id in matters.values_list("matter_id", flat=True)]


def record_matters(dataset: Dataset) -> None:
    """Write down the matters that the documents belong to now, besides those that are written down."""
    parts = DatasetDocument.objects.of(dataset.tenant_id).filter(dataset=dataset)
    now = set(parts.values_list("document__matter_id", flat=True).distinct())
    known = set(
        DatasetMatter.objects.of(dataset.tenant_id)
        .filter(dataset=dataset)
        .values_list("matter_id", flat=True)
    )
    DatasetMatter.objects.bulk_create(
        DatasetMatter(tenant_id=dataset.tenant_id, dataset=dataset, matter_id=matter_id)
        for matter_id in sorted(now - known)
    )
