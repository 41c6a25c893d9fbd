"""Frozen-prefix training: the layers below the first that learns never change, so each example is read
through them once, and what comes out, exactly, is kept on disk for every epoch and evaluation.

Hidden states tell the text that they came from: they lie sealed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from workers.engine.batches import Batch, parts
from workers.engine.examples import Example
from workers.engine.learner import Check, Progress
from workers.engine.sealed import Sealer

Read = Callable[[Batch], Tensor]


class FrozenPrefix:
    """The hidden states `[rows, hidden]` of examples under the first layer that learns."""

    def __init__(self, folder: Path, sealer: Sealer, hidden: int, device: torch.device) -> None:
        self._folder, self._sealer, self._hidden, self._device = folder, sealer, hidden, device
        self._places: dict[tuple[int, ...], int] = {}

    def prepare(
        self,
        examples: Sequence[Example],
        most_tokens: int,
        read: Read,
        report: Progress,
        check: Check,
    ) -> None:
        """Read those through the frozen layers that are not kept yet; `report` is told tokens done and all.

        They are read in the same company whenever that happens: a run that goes on finds the same bits.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        unique = sorted(set(examples), key=lambda example: example.tokens)
        self._places = {example.tokens: place for place, example in enumerate(unique)}
        total, done = sum(len(example.tokens) for example in unique), 0
        for group in parts(unique, most_tokens):
            check()
            if any(self._kept(example) is None for example in group):
                batch = Batch.of(group, self._device)
                for example, states in zip(group, _apart(read(batch), batch), strict=True):
                    self._keep(example, states)
            done += sum(len(example.tokens) for example in group)
            report(done, total)

    def rows(self, examples: Sequence[Example], batch: Batch) -> Tensor:
        """What the first layer that learns reads: `[rows, hidden]` of `batch`, which is of `examples`."""
        states = [self._states(example) for example in examples]
        own = [rows[batch.shared :] for rows in states]
        return torch.cat([states[0][: batch.shared], *own])

    def _states(self, example: Example) -> Tensor:
        kept = self._kept(example)
        if kept is None:
            raise OSError("A file of the frozen prefix has vanished.")
        flat = torch.frombuffer(bytearray(kept), dtype=torch.float32)
        return flat.view(-1, self._hidden).to(self._device)

    def _kept(self, example: Example) -> bytes | None:
        path, purpose = self._file(example)
        return self._sealer.read(path, purpose)

    def _keep(self, example: Example, states: Tensor) -> None:
        path, purpose = self._file(example)
        self._sealer.write(path, states.contiguous().cpu().numpy().tobytes(), purpose)

    def _file(self, example: Example) -> tuple[Path, str]:
        place = self._places[example.tokens]
        return self._folder / f"{place:08d}", f"prefix {place}"


def _apart(states: Tensor, batch: Batch) -> list[Tensor]:
    """The rows of each example, the shared ones before its own."""
    shared = states[: batch.shared]
    own = states[batch.shared :].split(batch.lengths)  # type: ignore[no-untyped-call]
    return [torch.cat([shared, rows]) for rows in own]
