from __future__ import annotations

import json
import logging
import uuid
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db.models import QuerySet

from webapp.core.errors import NotFound, Unavailable
from webapp.core.jobs.models import JobState
from webapp.datasets.models import Dataset, Split
from webapp.training.models import Answer, Device, LossPoint, TrainingRun
from webapp.training.presets import Given

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BaseModel:
    """A frozen base that an operator registered. Adapters belong to one of them."""

    name: str
    folder: Path
    revision: str
    chat_template_sha256: str
    licence: str = ""
    architecture: str = ""
    parameters: int | None = None
    fast_path: bool = True  # else it trains through transformers and PEFT
    layers: int = 0  # decoder layers; 0 where its config doesn't say

    @property
    def is_served(self) -> bool:
        """Whether the engine holds it, so that its adapters can answer."""
        return self.folder == Path(settings.BASE_MODEL_DIR)


def base_model(name: str | None = None) -> BaseModel:
    """The base of this name, or the one that is served. Raises Unavailable while it is not prepared."""
    if name is None:
        served = _read_base(Path(settings.BASE_MODEL_DIR))
        if served is None:
            raise Unavailable("The base model is not prepared yet; ask your operator to run the set-up.")
        return served
    found = next((base for base in base_models() if base.name == name), None)
    if found is None:
        raise Unavailable(
            f"The base model “{name}” is not registered here; ask your operator to register it."
        )
    return found


def base_models() -> list[BaseModel]:
    """Every registered base: the served one first, then the others of HOME/models by name."""
    folders = [path.parent for path in (settings.HOME / "models").glob("[!.]*/housestyle.json")]
    read = map(_read_base, [Path(settings.BASE_MODEL_DIR), *sorted(folders)])
    by_name: dict[str, BaseModel] = {}
    for base in read:
        if base is not None:
            by_name.setdefault(base.name, base)
    return list(by_name.values())


def is_of_served_base(run: TrainingRun) -> bool:
    """Whether the engine can load what came of the run. Raises Unavailable while no base is prepared.

    Runs from before revisions were kept are of the only base there was.
    """
    return not run.base_revision or run.base_revision == base_model().revision


def _read_base(folder: Path) -> BaseModel | None:
    """The base in `folder`; None where there is none, or one whose description is damaged."""
    try:
        about = json.loads((folder / "housestyle.json").read_text("utf-8"))
        return BaseModel(
            name=about["name"],
            folder=folder,
            revision=about["revision"],
            chat_template_sha256=about["chat_template_sha256"],
            licence=about.get("licence", ""),
            architecture=about.get("architecture", ""),
            parameters=about.get("parameters"),
            fast_path=about.get("fast_path", True),
            layers=_layers(folder),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        log.exception("The description of the base model in %s can't be read.", folder)
        return None


def _layers(folder: Path) -> int:
    """Decoder layers of the model in `folder`, 0 where its config doesn't say. Some families keep what is
    about their text under a name of its own."""
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except FileNotFoundError:
        return 0
    return int(config.get("text_config", config).get("num_hidden_layers", 0))


def device() -> Device | None:
    """What trains here, as the worker that was seen last measured it; None before any has."""
    return Device.objects.first()


def devices() -> QuerySet[Device]:
    """What has trained here, that which was seen last first."""
    return Device.objects.all()


def given(dataset: Dataset | None, base: str | None = None) -> Given:
    """What presets choose by. Without a dataset or a base it says so in zeros: a page can still be shown."""
    try:
        layers = base_model(base).layers
    except Unavailable:
        layers = 0
    trainer = device()
    totals = dataset.report.get("totals", {}).get("train", {}) if dataset else {}
    return Given(
        examples=dataset.train_examples if dataset else 0,
        example_tokens=totals["tokens"] / totals["examples"] if totals.get("examples") else None,
        layers=layers,
        device=trainer.kind if trainer else "cpu",
        device_bytes=trainer.memory_bytes if trainer else 0,
    )


def runs(tenant_id: uuid.UUID) -> QuerySet[TrainingRun]:
    return TrainingRun.objects.of(tenant_id).select_related("job", "dataset", "started_by__user")


def run(tenant_id: uuid.UUID, run_id: uuid.UUID) -> TrainingRun:
    """The gate to a run. Raises NotFound for everybody outside the firm."""
    found = runs(tenant_id).filter(id=run_id).first()
    if found is None:
        raise NotFound
    return found


def curve(run: TrainingRun, *, after: int = 0) -> dict[str, list[list[float]]]:
    """The loss curve: `{"train": [[step, loss], ...], "heldout": [...]}`; of the training losses those after
    step `after`."""
    lines: dict[str, list[list[float]]] = {split: [] for split in Split.values}
    points = LossPoint.objects.of(run.tenant_id).filter(run=run)
    if after:
        points = points.exclude(split=Split.TRAIN, step__lte=after)
    for split, step, loss in points.values_list("split", "step", "loss"):
        lines[split].append([step, loss])
    return lines


@dataclass(frozen=True)
class AnsweredPrompt:
    """One of a run's fixed prompts, what the house wrote, and the answers in the order of their steps."""

    place: int
    prompt: str
    expected: str
    answers: list[Answer]


def answers(run: TrainingRun) -> list[AnsweredPrompt]:
    """The run's fixed prompts, each with what was answered at every step so far."""
    prompts: dict[int, AnsweredPrompt] = {}
    for row in Answer.objects.of(run.tenant_id).filter(run=run).order_by("place", "step"):
        prompt = prompts.setdefault(row.place, AnsweredPrompt(row.place, row.prompt, row.expected, []))
        prompt.answers.append(row)
    return list(prompts.values())


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
