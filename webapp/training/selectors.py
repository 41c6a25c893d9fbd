from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db.models import QuerySet

from webapp.core.errors import NotFound, Unavailable
from webapp.core.jobs.models import JobState
from webapp.datasets.models import Split
from webapp.training.models import LossPoint, TrainingRun


@dataclass(frozen=True)
class BaseModel:
    """The shared base that every adapter of this installation belongs to."""

    name: str
    folder: Path
    revision: str
    chat_template_sha256: str


def base_model() -> BaseModel:
    """The prepared base. Raises Unavailable while it has not been prepared."""
    folder = Path(settings.BASE_MODEL_DIR)
    try:
        about = json.loads((folder / "housestyle.json").read_text())
    except FileNotFoundError:
        raise Unavailable(
            "The base model is not prepared yet; ask your operator to run the set-up."
        ) from None
    return BaseModel(about["name"], folder, about["revision"], about["chat_template_sha256"])


def runs(tenant_id: uuid.UUID) -> QuerySet[TrainingRun]:
    return TrainingRun.objects.of(tenant_id).select_related("job", "dataset", "started_by__user")


def run(tenant_id: uuid.UUID, run_id: uuid.UUID) -> TrainingRun:
    """The gate to a run. Raises NotFound for everybody outside the firm."""
    found = runs(tenant_id).filter(id=run_id).first()
    if found is None:
        raise NotFound
    return found


def curve(run: TrainingRun) -> dict[str, list[list[float]]]:
    """The loss curve: `{"train": [[step, loss], ...], "heldout": [...]}`."""
    lines: dict[str, list[list[float]]] = {split: [] for split in Split.values}
    points = LossPoint.objects.of(run.tenant_id).filter(run=run)
    for split, step, loss in points.values_list("split", "step", "loss"):
        lines[split].append([step, loss])
    return lines


def active(tenant_id: uuid.UUID) -> QuerySet[TrainingRun]:
    """Runs that wait or train."""
    return runs(tenant_id).filter(job__state__in=[JobState.QUEUED, JobState.RUNNING])


def adapter_names(tenant_id: uuid.UUID) -> list[str]:
    """The names that runs were started under, the newest first."""
    names = TrainingRun.objects.of(tenant_id).values_list("adapter_name", flat=True)
    return list(dict.fromkeys(names))


def version_id(run: TrainingRun) -> uuid.UUID | None:
    """The id of the adapter version that came of the run, once it has one."""
    found = TrainingRun.objects.of(run.tenant_id).filter(id=run.id).values_list("version__id", flat=True)
    return found.first()
