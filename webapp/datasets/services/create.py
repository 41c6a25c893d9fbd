from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence

from django.db import transaction
from django.db.models import Max, QuerySet

from webapp.audit import services as audit
from webapp.core.errors import Conflict, Invalid
from webapp.core.jobs import services as jobs
from webapp.core.jobs.models import JobKind
from webapp.core.tenancy import firm_scope
from webapp.datasets import selectors, split
from webapp.datasets.models import Dataset, DatasetDocument, Side, all_kinds
from webapp.datasets.services.build import record_matters
from webapp.documents import selectors as documents
from webapp.documents.models import Document
from webapp.tenants.models import Membership
from webapp.tenants.permissions import Action, require

MIN_DOCUMENTS = 2
MIN_TOKENS, MAX_TOKENS = 100, 1000  # of a passage
NAMED = 5  # documents that a sentence names


@transaction.atomic
def create(
    *,
    member: Membership,
    name: str,
    document_ids: Iterable[uuid.UUID],
    heldout_share: float = 0.15,
    seed: int = 0,
    kinds: Sequence[str] | None = None,
    max_tokens: int = 300,
) -> Dataset:
    """A dataset of these documents, split at once; its examples are made by a job.

    Running text is split by document, those that say almost the same on one side; ready-made pairs are split
    one by one, or as their file says. `kinds` are the kinds of example to make from running text (all of them
    unless said), `max_tokens` the length of a passage in the base's tokens.

    Raises Invalid with every problem: a document that is not ready, too few to hold one out, or only such as
    would leak what is held out.
    """
    require(member, Action.BUILD)
    wanted = set(document_ids)
    chosen = list(documents.ready(member.tenant_id, wanted).order_by("created_at", "id"))
    kinds = all_kinds() if kinds is None else [kind for kind in all_kinds() if kind in set(kinds)]
    text = [document for document in chosen if document.pairs is None]
    problems: dict[str, str] = {}
    if not name.strip():
        problems["name"] = "Give the dataset a name."
    elif "\0" in name:
        problems["name"] = "The name holds a character that no text has; remove it."
    if len(chosen) != len(wanted):
        problems["documents"] = "Choose only documents that are ready."
    elif problem := _cannot_be_split(chosen):
        problems["documents"] = problem
    if not 0.05 <= heldout_share <= 0.5:
        problems["heldout_share"] = "Hold out between 5% and 50% of the documents."
    if text and not kinds:
        problems["kinds"] = "Choose at least one kind of example to make."
    if not MIN_TOKENS <= max_tokens <= MAX_TOKENS:
        problems["max_tokens"] = f"Choose a length between {MIN_TOKENS} and {MAX_TOKENS} tokens."
    if problems:
        raise Invalid(" ".join(problems.values()), fields=problems)
    dataset = Dataset(
        tenant_id=member.tenant_id,
        name=name.strip()[:200],
        seed=seed,
        heldout_share=heldout_share,
        kinds=kinds,
        max_tokens=max_tokens,
        created_by=member,
    )
    _start(dataset, _sides(chosen, heldout_share, seed))
    audit.record(
        tenant_id=member.tenant_id,
        actor=member,
        action="dataset.created",
        target=dataset,
        documents=[str(document.id) for document in chosen],
    )
    return dataset


@transaction.atomic
def without_withdrawn(*, member: Membership, dataset: Dataset) -> Dataset:
    """The next version of a frozen dataset, without the documents that were withdrawn since.

    It has the same settings and, as long as both sides keep a document, the same split. Raises Conflict when
    nothing was withdrawn, Invalid when too little is left.
    """
    require(member, Action.BUILD)
    if dataset.state != "ready":
        raise Conflict("Only a frozen dataset can be made again without a document.")
    parts = list(selectors.parts(dataset))
    kept = {part.document: part.split for part in parts if part.document.withdrawn_at is None}
    if len(kept) == len(parts):
        raise Conflict("No document of this dataset was withdrawn.")
    if problem := _cannot_be_split(list(kept)):
        raise Invalid(f"Too little is left without what was withdrawn: {problem}")
    if Side.BOTH not in kept.values() and len(set(kept.values())) < 2:
        kept = _sides(list(kept), dataset.heldout_share, dataset.seed)
    version = next_version(dataset, by=member)
    _start(version, kept)
    audit.record(
        tenant_id=member.tenant_id,
        actor=member,
        action="dataset.remade",
        target=version,
        parent=str(dataset.id),
        without=[str(part.document_id) for part in parts if part.document not in kept],
    )
    return version


def next_version(parent: Dataset, *, by: Membership) -> Dataset:
    """An unsaved dataset that follows `parent`, with its settings."""
    with firm_scope(parent.tenant_id):  # numbers are the whole family's, whoever is screened off a version
        last = held_family(parent).aggregate(n=Max("version"))["n"]
    return Dataset(
        tenant_id=parent.tenant_id,
        name=parent.name,
        family=parent.family,
        version=last + 1,
        parent=parent,
        seed=parent.seed,
        heldout_share=parent.heldout_share,
        kinds=parent.kinds,
        max_tokens=parent.max_tokens,
        created_by=by,
    )


def held_family(dataset: Dataset) -> QuerySet[Dataset]:
    """All versions of a dataset, held to the transaction's end: only one more is made at a time. Call it in
    the firm's scope, since somebody may be screened off one of them."""
    family: QuerySet[Dataset] = Dataset.objects.of(dataset.tenant_id).filter(family=dataset.family)
    list(family.select_for_update().order_by("version").values_list("id"))
    return family


def add_parts(dataset: Dataset, sides: Mapping[Document, str]) -> None:
    """Say which documents the dataset is made of, and so which matters it carries."""
    DatasetDocument.objects.bulk_create(
        DatasetDocument(tenant_id=dataset.tenant_id, dataset=dataset, document=document, split=side)
        for document, side in sides.items()
    )
    record_matters(dataset)


def _start(dataset: Dataset, sides: Mapping[Document, str]) -> None:
    """Save the dataset with its documents and queue the job that builds it."""
    dataset.job = jobs.enqueue(JobKind.BUILD, tenant_id=dataset.tenant_id, object_id=dataset.id)
    dataset.save(force_insert=True)
    add_parts(dataset, sides)


def _sides(chosen: Sequence[Document], heldout_share: float, seed: int) -> dict[Document, str]:
    groups = {
        str(document.id): str(document.near_duplicates or document.id)
        for document in chosen
        if document.pairs is None
    }
    sides = split.split_by_group(groups, heldout_share, seed)
    return {document: sides.get(str(document.id), Side.BOTH) for document in chosen}


def _cannot_be_split(chosen: Sequence[Document]) -> str:
    """Why nothing of these documents could be held out; empty when something can."""
    if any(document.pairs is not None and document.pairs > 1 for document in chosen):
        return ""
    if len(chosen) < MIN_DOCUMENTS:
        return "Choose at least two ready documents: one is held out to measure with."
    if len({document.near_duplicates or document.id for document in chosen}) < MIN_DOCUMENTS:
        names = ", ".join(f"“{document.name}”" for document in chosen[:NAMED])
        more = f" and {len(chosen) - NAMED} more" if len(chosen) > NAMED else ""
        return (
            f"{names}{more} say almost the same, so whichever is held out would be learned from the others: "
            "choose a document that differs."
        )
    return ""
