"""What a run would cost here: the estimator, told of this installation's base, datasets and devices, and
calibrated by the runs that have ended on them."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Avg, Count, F, IntegerField, Max, Min, Q, StdDev, Sum
from django.db.models.functions import Collate, Greatest, Least, Length

from webapp.core.errors import Unavailable
from webapp.datasets import selectors as datasets
from webapp.datasets.models import Dataset, ExampleKind, Split
from webapp.training import selectors
from webapp.training.estimate import (
    Calibration,
    Choice,
    Machine,
    Shape,
    ShapeError,
    Workload,
    choose,
    estimate,
)
from webapp.training.estimate.known import MODELS, RANKS
from webapp.training.models import CostSample, Device, TrainingRun
from webapp.training.presets import TOKENS_AN_EXAMPLE
from webapp.training.spec import TrainingSpec

# How many of the latest runs calibrate an estimate. A factor beyond these bounds says that something else
# went on, a machine that was busy with other work, say.
SAMPLES = 10
FACTOR = (0.2, 5.0)
# What a chat template puts before the first words of a prompt, in tokens: about that many in most.
TEMPLATE_TOKENS = 24


@dataclass(frozen=True)
class Cost:
    """What a run would cost on `device`. Where that can't be told, `unknown` says why, in one sentence."""

    device: Device | None = None
    work: Workload | None = None
    choice: Choice | None = None
    unknown: str = ""


def record_device(values: Mapping[str, Any]) -> Device:
    """Keep what a worker measured of its device; the names are Device's fields.

    A processor that was busy while it was measured looks slower than it is: its best rate counts.
    """
    before = Device.objects.filter(name=values["name"]).first()
    best = max(values["matrix_flops"], before.matrix_flops if before else 0)
    device, _ = Device.objects.update_or_create(
        name=values["name"], defaults={**values, "matrix_flops": best}
    )
    return device


def machine_of(device: Device) -> Machine:
    return Machine(
        name=device.name,
        kind="cuda" if device.kind == "cuda" else "cpu",
        memory_bytes=device.memory_bytes,
        host_memory_bytes=device.host_memory_bytes,
        matrix_flops=device.matrix_flops,
        read_bytes_per_s=device.read_bytes_per_s,
        free_disk_bytes=device.free_disk_bytes,
    )


def for_form(*, dataset: Dataset, spec: TrainingSpec, base: str | None = None) -> Cost:
    """The cost of training on `dataset` with `spec`, before the run exists. `base` names a registered one."""
    try:
        trained = selectors.base_model(base)
        shape = shape_of(trained)
    except (Unavailable, ShapeError) as error:
        return Cost(unknown=str(error))
    device = selectors.device()
    if device is None:
        return Cost(unknown="What this costs is told once a training worker has reported its device.")
    work = workload_of(dataset, spec)
    if work is None:
        return Cost(unknown="Every example's prompt fills the maximum length: choose a longer one.")

    def calibrate(mode: str) -> Calibration:
        return calibration(device, mode, trained.revision)

    return Cost(device, work, choose(shape, spec, work, machine_of(device), calibrate))


def problem(*, dataset: Dataset, spec: TrainingSpec, base: str | None = None) -> str | None:
    """Why a run could not be held by the device here and what to change, in sentences; None where it could,
    and where that is not known."""
    cost = for_form(dataset=dataset, spec=spec, base=base)
    return (cost.choice.problem or None) if cost.choice is not None else None


def mode_for(run: TrainingRun) -> str:
    """Where the weights of a run stay: as it began, as it was asked for, or the first mode that fits."""
    spec = run.training_spec
    if run.mode or spec.mode != "auto":
        return run.mode or spec.mode
    choice = for_form(dataset=run.dataset, spec=spec, base=run.base_model).choice
    return choice.chosen.mode if choice is not None and choice.chosen is not None else spec.mode


def shape_of(base: selectors.BaseModel) -> Shape:
    """Raises ShapeError for a base that the estimator does not know."""
    try:
        config = json.loads((base.folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        raise ShapeError(f"The configuration of the base model {base.name} can't be read.") from None
    return Shape.from_config(config)


def workload_of(dataset: Dataset, spec: TrainingSpec) -> Workload | None:
    """The dataset in figures, each example cut as the trainer cuts it; None where nothing is left to learn.

    Examples from before their tokens were counted count as much as is usual.
    """
    limit = spec.max_length
    length: Any = Least(F("prompt_tokens") + F("completion_tokens"), limit, output_field=IntegerField())
    labels: Any = Greatest(
        Least(F("completion_tokens"), limit - F("prompt_tokens"), output_field=IntegerField()), 0
    )
    found = datasets.examples(dataset).order_by().annotate(length=length, learned=labels)
    kept = Q(completion_tokens=0) | Q(learned__gt=0)
    sums = {
        split: found.filter(kept, split=split).aggregate(
            n=Count("id"),
            tokens=Sum("length"),
            labels=Sum("learned"),
            longest=Max("length"),
            spread=StdDev("length"),
        )
        for split in Split.values
    }
    train, heldout = sums[Split.TRAIN], sums[Split.HELDOUT]
    if not train["n"]:
        return None
    if not train["tokens"]:
        return Workload.of_length(train["n"], min(TOKENS_AN_EXAMPLE, limit))
    return Workload(
        examples=train["n"],
        tokens=train["tokens"],
        label_tokens=train["labels"],
        longest=train["longest"],
        spread=train["spread"] or 0.0,
        shared=_shared_tokens(dataset),
        heldout_examples=heldout["n"],
        heldout_tokens=heldout["tokens"] or 0,
        heldout_label_tokens=heldout["labels"] or 0,
    )


def calibration(device: Device, mode: str, revision: str) -> Calibration:
    """How the latest runs of this device and mode compared with their estimates. Seconds differ more from
    base to base than bytes do: they are compared with runs on the same base only."""
    samples = CostSample.objects.filter(device=device, mode=mode)
    latest = list(samples[:SAMPLES])
    same_base = list(samples.filter(base_revision=revision)[:SAMPLES])
    return Calibration(
        memory=_factor([(row.measured_bytes, row.estimated_bytes) for row in latest]),
        seconds=_factor([(row.measured_seconds, row.estimated_seconds) for row in same_base]),
        runs=len(latest),
    )


def record_sample(run: TrainingRun, *, device: Device | None = None) -> CostSample | None:
    """Keep what a run that has ended well cost beside its estimate; None where the two can't be compared:
    one that ended early or was taken up again after a worker's death did not do the work once, and whole.

    `device` is what trained it, by default the one that was seen last.
    """
    device = device or selectors.device()
    ran_whole = run.steps > 0 and run.step == run.steps and not run.stopped_early and run.job.epoch <= 1
    if device is None or not ran_whole or not run.mode or not run.seconds or not run.peak_bytes:
        return None
    spec = run.training_spec
    try:
        shape = shape_of(selectors.base_model(run.base_model))
    except (Unavailable, ShapeError):
        return None
    work = workload_of(run.dataset, spec)
    if work is None:
        return None
    made = estimate(shape, spec, work, machine_of(device), run.mode)
    return CostSample.objects.create(
        device=device,
        base_revision=run.base_revision,
        mode=run.mode,
        # On a card, only what PyTorch allocated is measured.
        estimated_bytes=made.memory.total - (made.memory.runtime if device.kind == "cuda" else 0),
        measured_bytes=run.peak_bytes,
        estimated_seconds=made.seconds.total,
        measured_seconds=run.seconds,
    )


def _factor(pairs: list[tuple[float, float]]) -> float:
    """The median of measured / estimated, within bounds; 1 of none."""
    ratios = [measured / estimated for measured, estimated in pairs if estimated]
    low, high = FACTOR
    return min(high, max(low, statistics.median(ratios))) if ratios else 1.0


def _shared_tokens(dataset: Dataset) -> int:
    """About how many tokens all training examples begin with: the template's, and the words that all prompts
    begin with. Those are what the first and the last prompt of the alphabet have in common."""
    found = datasets.examples(dataset, split=Split.TRAIN).order_by()
    if found.filter(kind=ExampleKind.CHAT).exists():  # what was said before stands before the prompt
        return TEMPLATE_TOKENS
    ends = found.aggregate(
        first=Min(Collate("prompt", "C")),
        last=Max(Collate("prompt", "C")),
        letters=Avg(Length("prompt")),
        tokens=Avg("prompt_tokens"),
    )
    own = (ends["tokens"] or 0) - TEMPLATE_TOKENS
    if own <= 0 or not ends["letters"]:
        return 0
    pairs = zip(ends["first"], ends["last"], strict=False)
    same = next((at for at, (a, b) in enumerate(pairs) if a != b), len(ends["first"]))
    return TEMPLATE_TOKENS + int(min(1.0, same / ends["letters"]) * own)


@dataclass(frozen=True)
class Row:
    """A model at a rank, on a device."""

    model: str
    rank: int
    choice: Choice

    @property
    def trainable(self) -> int:
        return self.choice.options[0].estimate.trainable

    @property
    def ratio(self) -> float:
        return self.choice.options[0].estimate.ratio


def table(machine: Machine, work: Workload) -> list[Row]:
    """What models of three sizes cost at three ranks; all else as TrainingSpec has it."""
    return [
        Row(model.name, rank, choose(model.shape, TrainingSpec(rank=rank, alpha=2.0 * rank), work, machine))
        for model in MODELS
        for rank in RANKS
    ]
