"""The memory of all adapters: who has which part, who must leave it, and who waits for room."""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import torch

from workers.serving.arena import Range, find_room, move
from workers.serving.errors import EngineError
from workers.serving.lora import PlacedAdapter
from workers.serving.probe import Fingerprint

NUMBER_BYTES = 4


@dataclass(eq=False)
class Entry:
    """What the bank knows of one adapter. What is no constant changes under the bank's lock only."""

    name: str
    folder: Path
    size: int  # numbers
    sha256: dict[str, str]  # of its files
    chat_template: str | None
    load_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: int = field(default_factory=lambda: int(time.time()))
    fingerprint: Fingerprint | None = None  # of its answers, once they were proved right
    range: Range | None = None  # its place in the arena, from the moment it is set aside
    placed: PlacedAdapter | None = None  # only while it may be lent
    users: int = 0
    busy: bool = False  # being read or moved, by the one thread that set this


class AdapterMemory:
    """An arena of `size` bytes, which the system gives as they are written. `changed` is the bank's lock:
    every method but `hold` is called with it held."""

    def __init__(self, size: int, changed: threading.Condition) -> None:
        self.arena = torch.empty(size // NUMBER_BYTES)
        self.evictions = 0
        self._changed = changed
        self._holding: dict[Range, Entry] = {}
        self._uses = 0

    @property
    def capacity(self) -> int:
        """Bytes that adapters may have together."""
        return NUMBER_BYTES * self.arena.numel()

    @property
    def used(self) -> int:
        """Bytes that adapters have now."""
        return NUMBER_BYTES * sum(one.size for one in self._holding)

    @property
    def resident(self) -> int:
        """How many adapters have a part."""
        return len(self._holding)

    def refuse_what_never_fits(self, numbers: int) -> None:
        if numbers > self.arena.numel():
            raise EngineError(
                f"The adapter takes {numbers * NUMBER_BYTES} bytes and all adapters together have "
                f"{self.capacity}: give them more memory (--lora-memory).",
                status=507,
                kind="insufficient_storage",
                code="no_place",
            )

    def hold(self, entry: Entry, deadline: float) -> None:
        """Set a part of the arena aside for `entry`, whose owner nobody else is. Takes as long as others' use
        of all of it, until `deadline` (monotonic seconds); raises EngineError (429) then."""
        with self._changed:
            while (room := find_room(self.arena.numel(), self._holding, entry.size)) is None:
                if not self._changed.wait(max(0.0, deadline - time.monotonic())):
                    raise busy()
            for one in room.evict:
                self.drop(self._holding[one])
                self.evictions += 1
            moving = [(self._holding[one], start) for one, start in room.move]
            for one, start in room.move:
                self._holding[one].busy = one.fixed = True
                one.start = start
            entry.range = Range(room.start, entry.size)
            self._holding[entry.range] = entry
        self._move(moving)

    def pin(self, entry: Entry) -> None:
        """Keep an entry where it is until `unpin`."""
        assert entry.range is not None
        self._uses += 1
        entry.range.fixed, entry.range.used = True, self._uses

    def unpin(self, entry: Entry) -> None:
        assert entry.range is not None
        entry.range.fixed = False
        self._changed.notify_all()

    def drop(self, entry: Entry) -> None:
        """Give back the part of an entry that nobody uses, if it has one."""
        entry.placed = None
        if entry.range is not None:
            del self._holding[entry.range]
            entry.range = None
            self._changed.notify_all()

    def _move(self, moving: list[tuple[Entry, int]]) -> None:
        """Without the lock: nobody else touches an entry that is busy, and others are lent meanwhile."""
        moved: dict[Entry, PlacedAdapter] = {}
        try:
            for entry, start in moving:
                assert entry.placed is not None
                moved[entry] = move(self.arena, entry.placed, start)
        finally:
            with self._changed:
                for entry, _ in moving:
                    entry.busy = False
                    if entry in moved:
                        entry.placed = moved[entry]
                        assert entry.range is not None
                        entry.range.fixed = False
                    else:
                        self.drop(entry)
                self._changed.notify_all()


def busy() -> EngineError:
    return EngineError(
        "Other requests use all of the memory for adapters: send the request again in a moment.",
        status=429,
        kind="rate_limit_error",
        code="engine_busy",
        retry_after=1,
    )
