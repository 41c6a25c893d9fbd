"""Which mode a run takes on a machine, and why not the others."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from webapp.training.estimate.memory import Disk, Memory, disk, host_bytes, memory
from webapp.training.estimate.plan import NF4, RESIDENT, STREAMED, Plan
from webapp.training.estimate.seconds import Seconds, seconds
from webapp.training.estimate.shape import FAST_PATH, Shape
from webapp.training.estimate.workload import Machine, Workload
from webapp.training.spec import MIN_RANK, TrainingSpec

# In the order in which they are tried: the fastest first.
MODES = (RESIDENT, NF4, STREAMED)
WORDS = {
    RESIDENT: "with the whole model in memory",
    NF4: "with the model packed to 4 bits",
    STREAMED: "with the model read layer by layer",
}
# Of the memory and of the disk; the rest is the system's and that of what else runs there.
USABLE = {"cpu": 0.85, "cuda": 0.94}
USABLE_DISK = 0.95


@dataclass(frozen=True)
class Calibration:
    """How past runs on the same machine compared with what was estimated: measured / estimated."""

    memory: float = 1.0
    seconds: float = 1.0
    runs: int = 0


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a run in one mode would cost. Memory and seconds by part are as computed; `bytes` and
    `total_seconds` are calibrated by past runs."""

    mode: str
    precision: str
    trainable: int
    frozen: int
    frozen_prefix: bool
    steps: int
    tokens_at_once: int
    memory: Memory
    host_bytes: int  # beside a GPU
    seconds: Seconds
    disk: Disk
    calibration: Calibration

    @property
    def ratio(self) -> float:
        """Trained parameters as a share of all, the adapter's included."""
        return self.trainable / (self.trainable + self.frozen)

    @property
    def bytes(self) -> int:
        return round(self.memory.total * self.calibration.memory)

    @property
    def total_seconds(self) -> float:
        return self.seconds.total * self.calibration.seconds


@dataclass(frozen=True)
class Option:
    """A mode, its cost, and one sentence that says why it can't be taken; empty where it can."""

    estimate: Estimate
    problem: str


@dataclass(frozen=True)
class Choice:
    """`chosen` is the first mode that fits; None where `problem` says that none does and what to change."""

    options: tuple[Option, ...]
    chosen: Estimate | None
    problem: str

    @property
    def refused(self) -> tuple[Option, ...]:
        return tuple(option for option in self.options if option.problem)


Calibrate = Callable[[str], Calibration]


def no_calibration(mode: str) -> Calibration:
    return Calibration()


def estimate(
    shape: Shape,
    spec: TrainingSpec,
    work: Workload,
    machine: Machine,
    mode: str,
    calibration: Calibration | None = None,
) -> Estimate:
    """The cost of a run in `mode`: parameters, bytes and seconds."""
    plan = Plan(shape, spec, work, machine, mode)
    return Estimate(
        mode=mode,
        precision=plan.precision,
        trainable=plan.trainable,
        frozen=shape.parameters,
        frozen_prefix=plan.kept_below > 0,
        steps=work.steps(spec),
        tokens_at_once=round(work.rows(spec)),
        memory=memory(plan),
        host_bytes=host_bytes(plan),
        seconds=seconds(plan),
        disk=disk(plan),
        calibration=calibration or Calibration(),
    )


def choose(
    shape: Shape,
    spec: TrainingSpec,
    work: Workload,
    machine: Machine,
    calibrate: Calibrate = no_calibration,
) -> Choice:
    """Try the modes that `spec.mode` allows, the fastest first. `calibrate` knows past runs by mode."""
    wanted = MODES if spec.mode == "auto" else (spec.mode,)
    options = tuple(
        Option(made, _problem(made, shape, spec, machine))
        for made in (estimate(shape, spec, work, machine, mode, calibrate(mode)) for mode in wanted)
    )
    chosen = next((option.estimate for option in options if not option.problem), None)
    problem = ""
    if chosen is None:
        advice = _advice(shape, spec, work, machine, calibrate)
        problem = " ".join([*(option.problem for option in options), advice])
    return Choice(options, chosen, problem)


def _problem(made: Estimate, shape: Shape, spec: TrainingSpec, machine: Machine) -> str:
    """One sentence, or nothing."""
    how = WORDS[made.mode]
    if made.mode == STREAMED and shape.family not in FAST_PATH:
        return f"Training {how} is known for {', '.join(FAST_PATH)} models, and this is a {shape.family}."
    if made.mode == STREAMED and spec.precision not in ("auto", "fp32"):
        return f"Training {how} computes in fp32, and {spec.precision} was asked for."
    if made.mode == NF4 and machine.kind != "cuda":
        return f"Training {how} needs an NVIDIA graphics card, and {machine.name} has none."
    limit = machine.memory_bytes * USABLE[machine.kind]
    if made.bytes > limit:
        return f"Training {how} takes {gigabytes(made.bytes)} of memory, and {gigabytes(limit)} can be used."
    if made.host_bytes > machine.host_memory_bytes * USABLE["cpu"]:
        return (
            f"Training {how} takes {gigabytes(made.host_bytes)} of the computer's own memory, and "
            f"{gigabytes(machine.host_memory_bytes * USABLE['cpu'])} can be used."
        )
    if made.disk.total > machine.free_disk_bytes * USABLE_DISK:
        return (
            f"Training {how} writes {gigabytes(made.disk.total)} to the disk, and "
            f"{gigabytes(machine.free_disk_bytes * USABLE_DISK)} can be used."
        )
    return ""


def _advice(shape: Shape, spec: TrainingSpec, work: Workload, machine: Machine, calibrate: Calibrate) -> str:
    """What to change: the first change that lets the run fit."""
    for words, changed, shorter in _changes(shape, spec, work):
        for mode in MODES:
            made = estimate(shape, changed, shorter, machine, mode, calibrate(mode))
            if not _problem(made, shape, changed, machine):
                return f"{words}, and it fits {WORDS[mode]}."
    least = min(
        estimate(shape, spec, work, machine, mode, calibrate(mode)).bytes
        for mode in MODES
        if mode != NF4 or machine.kind == "cuda"
    )
    return (
        f"Choose a smaller base model, or a device with at least {gigabytes(least / USABLE[machine.kind])} "
        "of memory."
    )


def _changes(
    shape: Shape, spec: TrainingSpec, work: Workload
) -> Iterator[tuple[str, TrainingSpec, Workload]]:
    """Changes from the smallest to the largest, each with the words that tell a person to make it."""
    if spec.mode != "auto":
        yield "Let the mode be chosen (auto)", dataclasses.replace(spec, mode="auto"), work
    lean = spec
    if work.rows(spec) > work.longest:
        for tokens in (spec.batch_tokens // 2, spec.batch_tokens // 4):
            if tokens >= 64:
                lean = dataclasses.replace(spec, batch_tokens=tokens)
                yield f"Compute fewer tokens at once ({tokens})", lean, work
    if work.longest > 256:
        length = max(128, work.longest // 2)
        shorter = _cut(work, length)
        lean = dataclasses.replace(lean, max_length=min(spec.max_length, length))
        yield f"Shorten the longest example (max length {length})", lean, shorter
    if spec.rank > MIN_RANK:
        rank = max(MIN_RANK, spec.rank // 4)
        lean = dataclasses.replace(lean, rank=rank)
        yield f"Choose a lower rank ({rank})", dataclasses.replace(spec, rank=rank), work
    top = max(1, shape.layers // 4)
    if shape.learning_layers(spec) > top:
        yield f"Train only the top {top} layers", dataclasses.replace(spec, layers=top), work
        both = dataclasses.replace(lean, layers=top)
        words = f"Train only the top {top} layers, at rank {lean.rank}, {lean.batch_tokens} tokens at once"
        yield f"{words} and examples of at most {lean.max_length}", both, _cut(work, lean.max_length)


def _cut(work: Workload, length: int) -> Workload:
    """The examples cut at `length`."""
    longest = min(work.longest, length)
    share = min(1.0, longest / work.mean)
    return dataclasses.replace(
        work,
        longest=longest,
        tokens=round(work.tokens * share),
        label_tokens=round(work.label_tokens * share),
    )


def gigabytes(size: float) -> str:
    """Bytes in words: `0.9 GB`, `141 GB`."""
    value = size / 2**30
    return f"{value:.1f} GB" if value < 99.95 else f"{value:,.0f} GB"
