"""Changes to a frozen dataset are gathered in a draft; freezing it makes the next version."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Count

from webapp.audit import services as audit
from webapp.core.errors import Conflict, Invalid
from webapp.core.jobs import services as jobs
from webapp.core.jobs.models import Job, JobKind
from webapp.core.tenancy import firm_scope
from webapp.datasets import selectors
from webapp.datasets.models import Dataset, Example, ExampleChange, Split
from webapp.datasets.services.create import add_parts, held_family, next_version
from webapp.datasets.services.delete import delete
from webapp.tenants.models import Membership
from webapp.tenants.permissions import Action, require

MAX_CHARACTERS = 40_000


@transaction.atomic
def open_draft(*, member: Membership, dataset: Dataset) -> Dataset:
    """The open draft of a frozen dataset, begun now unless there is one; a draft itself is given back.

    Raises Conflict for a dataset that is not frozen, and while another of its versions has a draft.
    """
    require(member, Action.BUILD)
    if dataset.state == "draft":
        return dataset
    if dataset.state != "ready":
        raise Conflict("Only the examples of a dataset that is ready can be changed.")
    with firm_scope(dataset.tenant_id):
        found = held_family(dataset).filter(job=None).select_related("parent").first()
    if found is None:
        draft = next_version(dataset, by=member)
        draft.save(force_insert=True)
        add_parts(draft, {part.document: part.split for part in selectors.parts(dataset)})
        audit.record(
            tenant_id=member.tenant_id,
            actor=member,
            action="dataset.draft_begun",
            target=draft,
            parent=str(dataset.id),
        )
        return draft
    if found.parent_id != dataset.id:
        raise Conflict(
            f"A draft of “{found.parent}” has been begun; freeze or discard it before you change this one."
        )
    return found


@transaction.atomic
def exclude(*, member: Membership, dataset: Dataset, position: int) -> Dataset:
    """Leave an example out of the next version; returns the draft that says so. Raises NotFound, Conflict."""
    draft = open_draft(member=member, dataset=dataset)
    example = selectors.example(draft, position)
    _change(member, draft, example, excluded=True)
    return draft


@transaction.atomic
def edit(*, member: Membership, dataset: Dataset, position: int, prompt: str, completion: str) -> Dataset:
    """Say an example otherwise in the next version; returns the draft that says so.

    Raises Invalid for a side without words, NotFound, Conflict.
    """
    draft = open_draft(member=member, dataset=dataset)
    example = selectors.example(draft, position)
    said = {"prompt": _as_typed(prompt), "completion": _as_typed(completion)}
    problems = {}
    for field, text in said.items():
        if not text.strip():
            problems[field] = "This side must have words; to leave the example out, exclude it."
        elif len(text) > MAX_CHARACTERS:
            problems[field] = f"Keep this under {MAX_CHARACTERS:,} characters."
        elif "\0" in text:
            problems[field] = "This holds a character that no text has; remove it."
    if problems:
        raise Invalid(" ".join(problems.values()), fields=problems)
    if said == {"prompt": example.prompt, "completion": example.completion}:
        undo(member=member, draft=draft, position=position)
    else:
        _change(member, draft, example, prompt=said["prompt"], completion=said["completion"])
    return draft


@transaction.atomic
def undo(*, member: Membership, draft: Dataset, position: int) -> None:
    """Take back what the draft does to an example. Raises Conflict when it is no draft."""
    require(member, Action.BUILD)
    _must_be_open(draft)
    example = selectors.example(draft, position)
    changes = ExampleChange.objects.of(draft.tenant_id).filter(dataset=draft, example=example)
    if changes.delete()[0]:
        _audit(member, draft, "dataset.change_undone", example)


@transaction.atomic
def discard(*, member: Membership, draft: Dataset) -> None:
    """Throw a draft away with its changes. Raises Conflict when it is no draft."""
    require(member, Action.BUILD)
    _must_be_open(draft)
    delete(member=member, dataset=draft)


@transaction.atomic
def freeze(*, member: Membership, draft: Dataset) -> Dataset:
    """Queue the job that makes the draft a version: its parent's examples with the changes made.

    Raises Conflict when it is no draft, changes nothing, would leave a side of the split empty, or holds a
    document that was withdrawn.
    """
    require(member, Action.BUILD)
    _must_be_open(draft)
    assert draft.parent is not None
    if gone := selectors.withdrawn(draft).first():
        raise Conflict(
            f"“{gone.document.name}” was withdrawn, so no version is made with it: discard this draft, then "
            f"make a version of “{draft.parent}” without it."
        )
    changes = ExampleChange.objects.of(draft.tenant_id).filter(dataset=draft)
    if not changes.exists():
        raise Conflict("Nothing is changed in this draft yet; exclude or edit an example first.")
    excluded = dict(
        changes.filter(excluded=True).values_list("example__split").annotate(n=Count("id")).order_by()
    )
    for split, had in (
        (Split.TRAIN, draft.parent.train_examples),
        (Split.HELDOUT, draft.parent.heldout_examples),
    ):
        if had <= excluded.get(split, 0):
            raise Conflict(
                f"No {split.label.lower()} example would be left; undo an exclusion, then freeze the draft."
            )
    draft.job = jobs.enqueue(JobKind.BUILD, tenant_id=draft.tenant_id, object_id=draft.id)
    draft.save(update_fields=["job"])
    audit.record(
        tenant_id=member.tenant_id,
        actor=member,
        action="dataset.frozen",
        target=draft,
        parent=str(draft.parent_id),
        changes=changes.count(),
    )
    return draft


@transaction.atomic
def reopen(*, member: Membership, dataset: Dataset) -> Dataset:
    """A draft that was frozen and could not be built is a draft again, with all that was changed in it.

    Raises Conflict when it is no such version, or while the family has another draft.
    """
    require(member, Action.BUILD)
    with firm_scope(dataset.tenant_id):
        family = held_family(dataset)
        kept = family.select_related("job").get(id=dataset.id)
        other = family.filter(job=None).exists()
    if kept.state != "failed" or not selectors.changes(kept).exists():
        raise Conflict("Only a draft that could not be built can be taken up again.")
    if other:
        raise Conflict("Another draft has been begun since; freeze or discard it first.")
    failed = Job.objects.filter(id__in=[kept.job_id])
    kept.job, kept.documents_done, kept.seconds_left = None, 0, None
    kept.save(update_fields=["job", "documents_done", "seconds_left"])
    failed.delete()
    audit.record(tenant_id=member.tenant_id, actor=member, action="dataset.draft_reopened", target=kept)
    return kept


def _change(
    member: Membership,
    draft: Dataset,
    example: Example,
    *,
    excluded: bool = False,
    prompt: str = "",
    completion: str = "",
) -> None:
    _must_be_open(draft)
    ExampleChange.objects.update_or_create(
        tenant_id=draft.tenant_id,
        dataset=draft,
        example=example,
        defaults={
            "excluded": excluded,
            "prompt": prompt,
            "completion": completion,
            "changed_by": member,
        },
    )
    _audit(member, draft, "dataset.example_excluded" if excluded else "dataset.example_edited", example)


def _audit(member: Membership, draft: Dataset, action: str, example: Example) -> None:
    audit.record(
        tenant_id=member.tenant_id, actor=member, action=action, target=draft, position=example.position
    )


def _must_be_open(draft: Dataset) -> None:
    """Hold the draft to the transaction's end, so that nobody freezes it between. Raises Conflict."""
    kept = Dataset.objects.of(draft.tenant_id).filter(id=draft.id, job=None)
    if kept.select_for_update(of=("self",)).first() is None:
        raise Conflict("This is no draft any more; it was frozen.")


def _as_typed(text: str) -> str:
    """A browser sends line ends as CR LF, whatever was typed."""
    return text.replace("\r\n", "\n")
