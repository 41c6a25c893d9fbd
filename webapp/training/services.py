from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import transaction

from webapp.audit import services as audit
from webapp.core.errors import Conflict, Invalid
from webapp.core.jobs import services as jobs
from webapp.core.jobs.models import JobKind
from webapp.datasets import selectors as datasets
from webapp.datasets.models import Dataset
from webapp.tenants.models import Membership
from webapp.tenants.permissions import Action, require
from webapp.training import selectors
from webapp.training.models import LossPoint, TrainingRun
from webapp.training.presets import PRESETS
from webapp.training.spec import SpecError, TrainingSpec

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
        try:
            spec = TrainingSpec.parse(
                {**chosen.as_dict(), **(changes or {})}, max_rank=settings.MAX_ADAPTER_RANK
            )
        except SpecError as error:
            problems.update(error.problems)
        if given.layers and spec.layers > given.layers:
            problems["layers"] = (
                f"Layers must be between 0 and {given.layers}: the base model has no more; {spec.layers} was "
                "given."
            )
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
def cancel(*, member: Membership, run: TrainingRun) -> None:
    """Stop a run: at once while it waits, within one step while it trains. Raises Conflict at its end."""
    require(member, Action.TRAIN)
    if run.job.has_ended:
        raise Conflict("This run has already ended.")
    jobs.request_cancel(run.job)
    audit.record(tenant_id=member.tenant_id, actor=member, action="run.cancelled", target=run)


def forget_progress(run: TrainingRun) -> None:
    """A run that starts again after a worker's death starts from its first step."""
    LossPoint.objects.of(run.tenant_id).filter(run=run).delete()
    record_progress(run, step=0, phase="", seconds_left=None)


def record_progress(run: TrainingRun, **fields: Any) -> None:
    """Keep what the trainer reports of itself (fields of TrainingRun)."""
    for name, value in fields.items():
        setattr(run, name, value)
    run.save(update_fields=list(fields))


def record_losses(run: TrainingRun, points: list[tuple[str, int, float]]) -> None:
    """Add points `(split, step, loss)` to the curve."""
    LossPoint.objects.bulk_create(
        LossPoint(tenant_id=run.tenant_id, run=run, split=split, step=step, loss=loss)
        for split, step, loss in points
    )
