from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from celery import shared_task

from webapp.core.errors import Unavailable
from webapp.core.jobs.models import JobKind
from webapp.core.jobs.services import LeaseLost
from webapp.core.tenancy import firm_scope
from webapp.datasets import selectors, services, split
from webapp.datasets.examples import NewExample, build_examples
from webapp.datasets.examples.imported import from_pairs
from webapp.datasets.models import Dataset, DatasetDocument, ExampleKind, Side, Split
from webapp.datasets.services import Build
from webapp.documents import selectors as documents
from webapp.documents.layout import BlockKind, Layout
from webapp.documents.pairs import Pair, layout_of
from webapp.findings import selectors as findings
from webapp.findings.models import Finding
from webapp.findings.redaction import Pseudonyms, redact, redact_pairs
from webapp.findings.services import scan
from webapp.training import selectors as training
from workers.tasks.run_job import Held, JobFailed, Record, run_job

if TYPE_CHECKING:  # the tokenizer is loaded where it is used: no worker starts with it
    from workers.tokens import TokenCounter

WORDS_OF_A_PAIR = 150  # about as much work as this many words of running text
SIDES: tuple[split.Side, split.Side] = ("train", "heldout")


@shared_task(name=JobKind.BUILD.task)
def build_dataset() -> None:
    """Make the examples of waiting datasets."""
    run_job(JobKind.BUILD, _build)


def _build(held: Held) -> Record:
    from workers.tokens import TokenCounter

    tenant_id = held.claim.tenant_id
    with firm_scope(tenant_id):
        dataset = selectors.dataset(tenant_id, held.claim.object_id)
        parts = list(selectors.parts(dataset).select_related("document__tenant"))
    try:
        base = training.base_model()
    except Unavailable as away:
        raise JobFailed(away.message) from None
    if gone := next((part.document for part in parts if part.document.withdrawn_at), None):
        raise JobFailed(f"“{gone.name}” was withdrawn meanwhile; make the dataset without it.")
    build = Build(dataset, claim=held.claim)
    build.begin()
    try:
        counter = TokenCounter(base.folder)
        if dataset.parent is None:
            _from_documents(held, build, parts, counter)
        else:
            _from_parent(held, build, parts, counter, recount=_is_of_another_base(build, base.revision))
        if problem := build.problem():
            raise JobFailed(problem)
        build.flush()
    except LeaseLost:
        raise
    except BaseException:
        build.forget()
        raise

    def record() -> None:
        if gone := selectors.withdrawn(dataset).first():
            raise JobFailed(f"“{gone.document.name}” was withdrawn meanwhile; make the dataset without it.")
        build.freeze(base_revision=base.revision, chat_template_sha256=base.chat_template_sha256)

    return record


def _from_documents(
    held: Held, build: Build, parts: Sequence[DatasetDocument], counter: TokenCounter
) -> None:
    """The examples of every document, one document in memory at a time: what is trained on first, so that a
    held-out copy of it is seen."""
    pseudonyms = Pseudonyms()
    notes: dict[DatasetDocument, int] = {}
    stood: dict[DatasetDocument, list[Finding]] = {}
    progress = _Progress(build, parts)
    for part, side in _visits(parts):
        held.check()
        document = part.document
        if part.split == Side.BOTH:
            made = _of_pairs(build.dataset, side, _read_pairs(build, part, pseudonyms, stood))
            for example in made:
                build.add_style(Layout.of_text(example.completion).blocks)
        else:
            made = _of_text(build, part, pseudonyms, counter, notes)
        lengths = counter.lengths(made)
        for example, tokens in zip(made, lengths, strict=True):
            build.add(document, side, example, tokens)
        progress.visited(part)
    for part in parts:
        build.end_document(part.document, footnote_words=notes.get(part, 0))


def _of_text(
    build: Build,
    part: DatasetDocument,
    pseudonyms: Pseudonyms,
    counter: TokenCounter,
    notes: dict[DatasetDocument, int],
) -> list[NewExample]:
    """The examples of a document's running text, without what its findings take out of it."""
    document = part.document
    layout = documents.layout(document)
    with firm_scope(document.tenant_id):
        scan(document=document, layout=layout)  # it may have been read before findings were looked for
        found = list(findings.findings_of(document))
        build.add_findings(findings.report([document]))
    blocks = redact(layout, found, pseudonyms)
    notes[part] = sum(len(block.text.split()) for block in blocks if block.kind == BlockKind.FOOTNOTE)
    build.add_style(blocks)
    return build_examples(
        blocks,
        title=document.name,
        kinds=build.dataset.kinds,
        max_tokens=build.dataset.max_tokens,
        count_tokens=counter.count,
    )


def _read_pairs(
    build: Build,
    part: DatasetDocument,
    pseudonyms: Pseudonyms,
    stood: dict[DatasetDocument, list[Finding]],
) -> list[Pair]:
    """A document's ready-made pairs, without what its findings take out of them.

    They are looked through here: a table's columns may have been chosen a moment ago. `stood` keeps how the
    findings stood at the first visit, so that what somebody decides meanwhile holds for both sides or none.
    """
    document = part.document
    pairs = documents.pairs(document)
    if part not in stood:
        with firm_scope(document.tenant_id):
            scan(document=document, layout=layout_of(pairs))
            stood[part] = list(findings.findings_of(document))
            build.add_findings(findings.report([document]))
    return redact_pairs(pairs, stood[part], pseudonyms)


def _of_pairs(dataset: Dataset, side: split.Side, pairs: Sequence[Pair]) -> list[NewExample]:
    """Those ready-made pairs of a document that are on one side: as its file says, or else drawn by the
    dataset's seed, the same question always on the same side."""
    asked = {at: _question(pair) for at, pair in enumerate(pairs) if pair.split not in Split.values}
    drawn = split.split_by_group(
        dict.fromkeys(asked.values()),
        dataset.heldout_share,
        dataset.seed,
    )
    made = []
    for at, pair in enumerate(pairs):
        place = drawn[asked[at]] if at in asked else pair.split
        if place == side:
            made += from_pairs([pair if pair.kind in ExampleKind.values else _without_kind(pair)])
    return made


def _question(pair: Pair) -> str:
    said = [pair.prompt, *(message["content"] for message in pair.context)]
    return hashlib.sha256("\0".join(said).encode()).hexdigest()


def _without_kind(pair: Pair) -> Pair:
    return replace(pair, kind="")


def _from_parent(
    held: Held, build: Build, parts: Sequence[DatasetDocument], counter: TokenCounter, *, recount: bool
) -> None:
    """The parent's examples, of those documents that are still parts, with the draft's changes made."""
    dataset = build.dataset
    assert dataset.parent is not None
    by_document = {part.document_id: part for part in parts}
    with firm_scope(dataset.tenant_id):
        changes = {change.example_id: change for change in selectors.changes(dataset)}
    ids = {str(part.document_id) for part in parts}
    stood = dataset.parent.report.get("findings", [])  # a dataset from before there were reports has none
    build.add_findings(row for row in stood if row["document"] in ids)
    passed = 0
    for side in SIDES:
        after = -1
        while True:
            held.check()
            with firm_scope(dataset.tenant_id):
                rows = selectors.slice_of(
                    selectors.examples(dataset.parent), services.BATCH, after=after
                ).rows
            if not rows:
                break
            after = rows[-1].position
            passed += len(rows)
            kept, counts = [], []
            for row in rows:
                part, change = by_document.get(row.document_id), changes.get(row.id)
                if part is None or (change and change.excluded):
                    continue
                if (row.split if part.split == Side.BOTH else part.split) != side:
                    continue
                said = change or row
                example = NewExample(row.kind, said.prompt, said.completion, tuple(row.context), row.source)
                kept.append((part.document, example))
                counts.append(None if change or recount else (row.prompt_tokens, row.completion_tokens))
                build.add_style(Layout.of_text(example.completion).blocks)
            fresh = iter(counter.lengths([kept[at][1] for at, count in enumerate(counts) if count is None]))
            for (document, example), count in zip(kept, counts, strict=True):
                build.add(document, side, example, count or next(fresh))
            share = passed / (len(SIDES) * dataset.parent.example_count)
            build.report_progress(documents_done=int(share * len(parts)), share=share)
    for part in parts:
        build.end_document(part.document)


def _is_of_another_base(build: Build, revision: str) -> bool:
    """Whether the parent's tokens were counted for another base model."""
    parent = build.dataset.parent
    return parent is not None and parent.manifest.get("base_revision") != revision


def _visits(parts: Sequence[DatasetDocument]) -> Iterator[tuple[DatasetDocument, split.Side]]:
    """Each document, with the side that is wanted of it; ready-made pairs are visited once for each."""
    for side in SIDES:
        for part in parts:
            if part.split in (side, Side.BOTH):
                yield part, side


class _Progress:
    """How far a build is, weighed by the words of each document."""

    def __init__(self, build: Build, parts: Sequence[DatasetDocument]) -> None:
        self._build = build
        self._left: dict[DatasetDocument, int] = {}
        for part, _ in _visits(parts):
            self._left[part] = self._left.get(part, 0) + 1
        self._total = sum(self._work(part) * visits for part, visits in self._left.items()) or 1
        self._passed = 0

    def visited(self, part: DatasetDocument) -> None:
        self._left[part] -= 1
        self._passed += self._work(part)
        done = sum(not visits for visits in self._left.values())
        self._build.report_progress(documents_done=done, share=self._passed / self._total)

    @staticmethod
    def _work(part: DatasetDocument) -> int:
        document = part.document
        return (document.words or 0) + (document.pairs or 0) * WORDS_OF_A_PAIR + 1
