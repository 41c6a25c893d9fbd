from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import transaction

from webapp.audit import services as audit
from webapp.core.errors import Conflict, Invalid
from webapp.core.jobs import services as jobs
from webapp.core.jobs.models import JobKind
from webapp.datasets import selectors as datasets
from webapp.datasets.models import Dataset, Split
from webapp.tenants.models import Membership
from webapp.tenants.permissions import Action, require
from webapp.training import costs, selectors
from webapp.training.models import Answer, LossPoint, TrainingRun
from webapp.training.presets import PRESETS
from webapp.training.spec import MAX_LAYERS, SpecError, TrainingSpec

ADAPTER_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,58}[a-z0-9])?")
RESERVED = {"base", "default", "live"}  # these mean the base and the live adapter to programs
NAME_RULE = "Use small letters, digits and hyphens, for example “briefs” or “client-letters”."


@transaction.atomic
def start(
    *,
    member: Membership,
    dataset: Dataset,
    adapter_name: str,
    preset: str = "quick",
    changes: Mapping[str, Any] | None = None,
    base: str | None = None,
) -> TrainingRun:
    """Queue a run that adds a version to the adapter `adapter_name`. `changes` overrides the preset; `base`
    names a registered base model, by default the one that is served.

    Raises Invalid with every problem at once, Unavailable while no base is prepared.
    """
    require(member, Action.TRAIN)
    problems: dict[str, str] = {}
    name = adapter_name.strip()
    if not ADAPTER_NAME.fullmatch(name) or name in RESERVED:
        problems["adapter_name"] = NAME_RULE
    if dataset.state != "ready" or not dataset.train_examples:
        problems["dataset"] = "Choose a dataset that is ready."
    elif gone := datasets.withdrawn(dataset).first():
        problems["dataset"] = (
            f"“{gone.document.name}” of this dataset was withdrawn; make a version without it, and train on "
            "that."
        )
    bases = {found.name: found for found in selectors.base_models()}
    if base is not None and base not in bases:
        problems["base"] = f"Choose one of the registered base models: {', '.join(bases)}."
    spec = TrainingSpec()
    if preset not in PRESETS:
        problems["preset"] = f"Choose one of the presets: {', '.join(PRESETS)}."
    else:
        given = selectors.given(dataset, base)
        chosen = PRESETS[preset].spec(given)
        limits = {"max_rank": settings.MAX_ADAPTER_RANK, "max_layers": given.layers or MAX_LAYERS}
        try:
            spec = TrainingSpec.parse({**chosen.as_dict(), **(changes or {})}, **limits)
        except SpecError as error:
            problems.update(error.problems)
    if not problems and (too_large := costs.problem(dataset=dataset, spec=spec, base=base)):
        problems["device"] = f"This run does not fit the device here. {too_large}"
    if problems:
        raise Invalid(" ".join(problems.values()), fields=problems)
    trained = selectors.base_model(base)
    run_id = uuid.uuid4()
    job = jobs.enqueue(JobKind.TRAIN, tenant_id=member.tenant_id, object_id=run_id)
    run = TrainingRun.objects.create(
        id=run_id,
        tenant_id=member.tenant_id,
        adapter_name=name,
        dataset=dataset,
        preset=preset,
        spec=spec.as_dict(),
        base_model=trained.name,
        base_revision=trained.revision,
        started_by=member,
        job=job,
    )
    audit.record(
        tenant_id=member.tenant_id,
        actor=member,
        action="run.started",
        target=run,
        dataset=str(dataset.id),
        dataset_sha256=dataset.sha256,
        spec=spec.as_dict(),
    )
    return run


@transaction.atomic
def cancel(*, member: Membership, run: TrainingRun, keep_best: bool = False) -> None:
    """Stop a run: at once while it waits, within one step while it trains. Raises Conflict at its end.

    With `keep_best` the best adapter that it has so far becomes a version; one that waits has none to keep.
    """
    require(member, Action.TRAIN)
    if run.job.has_ended:
        raise Conflict("This run has already ended.")
    record_progress(run, keep_best=keep_best)  # before the request: whoever hears of it reads this
    jobs.request_cancel(run.job)
    transaction.on_commit(lambda: jobs.wake(JobKind.TRAIN))  # a worker removes what a waiting one had saved
    audit.record(
        tenant_id=member.tenant_id,
        actor=member,
        action="run.cancelled",
        target=run,
        keep_best=keep_best,
    )


def record_progress(run: TrainingRun, **fields: Any) -> None:
    """Keep what the trainer reports of itself (fields of TrainingRun)."""
    for name, value in fields.items():
        setattr(run, name, value)
    run.save(update_fields=list(fields))


def forget_curve(run: TrainingRun) -> None:
    """Remove the curve and the answers: a run that goes on from a checkpoint says anew how it came there."""
    LossPoint.objects.of(run.tenant_id).filter(run=run).delete()
    Answer.objects.of(run.tenant_id).filter(run=run).delete()


def record_losses(run: TrainingRun, points: Iterable[tuple[str, int, float]]) -> None:
    """Add points `(split, step, loss)` to the curve; one that is there already is written over."""
    LossPoint.objects.bulk_create(
        [
            LossPoint(tenant_id=run.tenant_id, run=run, split=split, step=step, loss=loss)
            for split, step, loss in points
        ],
        update_conflicts=True,
        unique_fields=["run", "split", "step"],
        update_fields=["loss"],
    )


@dataclass(frozen=True)
class FixedPrompt:
    """A prompt that a run answers at each measurement, and what the house wrote."""

    prompt: str
    expected: str
    context: list[dict[str, str]]


def fixed_prompts(dataset: Dataset, count: int = 3) -> list[FixedPrompt]:
    """The dataset's first held-out examples, or the first of all where none is held out: always the same."""
    heldout = list(datasets.examples(dataset, split=Split.HELDOUT)[:count])
    return [
        FixedPrompt(example.prompt, example.completion, example.context)
        for example in heldout or datasets.examples(dataset)[:count]
    ]


def record_answers(
    run: TrainingRun, prompts: Sequence[FixedPrompt], answers: Iterable[tuple[int, int, str]]
) -> None:
    """Add answers `(step, place, text)`, `place` counting `prompts` from 0; one that is there already is
    written over."""
    Answer.objects.bulk_create(
        [
            Answer(
                tenant_id=run.tenant_id,
                run=run,
                step=step,
                place=place,
                prompt=prompts[place].prompt,
                expected=prompts[place].expected,
                text=text,
            )
            for step, place, text in answers
        ],
        update_conflicts=True,
        unique_fields=["run", "step", "place"],
        update_fields=["text"],
    )
