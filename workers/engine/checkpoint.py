"""A run as it was after some step, on disk: enough to go on as if nothing had happened.

What is random in a run depends on its seed and on the step alone, so parameters, optimiser and step say all.
Numbers lie in safetensors; the curve and the answers, which may quote a document, lie sealed.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from workers.engine.events import Answer, Point
from workers.engine.files import save_tensors, whole_folder
from workers.engine.sealed import Sealer

STATE, JOURNAL = "state.safetensors", "journal"


@dataclass
class Journal:
    """What a run did so far, in words and numbers."""

    step: int = 0
    points: list[Point] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    best_step: int | None = None
    best_loss: float | None = None
    worse: int = 0  # evaluations since the best one

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> Journal:
        values: dict[str, Any] = json.loads(text)
        values["points"] = [(split, step, loss) for split, step, loss in values["points"]]
        values["answers"] = [Answer(**answer) for answer in values["answers"]]
        return cls(**values)


class Checkpoints:
    """The newest state of one run, in a folder of its own. An older one goes when a newer one is whole."""

    def __init__(self, folder: Path, sealer: Sealer, mark: str) -> None:
        """`mark` names what is trained on what: a state of something else is not taken up."""
        self._folder, self._sealer, self._mark = folder, sealer, mark

    def save(
        self,
        journal: Journal,
        learnt: Sequence[Tensor],
        optimiser: torch.optim.Optimizer,
        best: Sequence[Tensor],
    ) -> None:
        """Raises OSError where it can't be written; the state before stays then."""
        tensors = {f"learnt.{place}": tensor.detach() for place, tensor in enumerate(learnt)}
        tensors |= {f"best.{place}": tensor for place, tensor in enumerate(best)}
        for place, moments in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{place}.{name}": tensor for name, tensor in moments.items()}
        target = self._folder / f"{self._mark}-{journal.step:08d}"
        if target.exists():
            shutil.rmtree(target)
        with whole_folder(target) as beside:
            save_tensors(tensors, beside / STATE)
            self._sealer.write(beside / JOURNAL, journal.to_json().encode(), self._purpose(target))
        for old in self._folder.iterdir():
            if old != target:
                shutil.rmtree(old, ignore_errors=True)

    def load(
        self, learnt: Sequence[Tensor], optimiser: torch.optim.Optimizer
    ) -> tuple[Journal, list[Tensor]] | None:
        """Put the newest whole state back into `learnt` and `optimiser`; returns its journal and the best
        parameters, or None where there is none."""
        for folder in sorted(self._folder.glob(f"{self._mark}-*"), reverse=True):
            journal = self._sealer.read(folder / JOURNAL, self._purpose(folder))
            if journal is None:
                continue
            try:
                tensors = load_file(folder / STATE)
            except (SafetensorError, OSError):
                continue
            _restore(tensors, learnt, optimiser)
            best = [tensors[f"best.{place}"] for place in range(len(learnt)) if f"best.{place}" in tensors]
            return Journal.from_json(journal), best
        return None

    def _purpose(self, folder: Path) -> str:
        return f"journal {folder.name}"


@torch.no_grad()
def _restore(tensors: dict[str, Tensor], learnt: Sequence[Tensor], optimiser: torch.optim.Optimizer) -> None:
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        kind, place, *rest = name.split(".")
        if kind == "learnt":
            learnt[int(place)].copy_(tensor)
        elif kind == "optimiser":
            moments.setdefault(int(place), {})[rest[0]] = tensor
    optimiser.load_state_dict({"state": moments, "param_groups": optimiser.state_dict()["param_groups"]})
