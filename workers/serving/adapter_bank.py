"""The adapters, by name: hundreds are known, and as many as the memory holds are ready.

A name means one set of weights for as long as it is known. What was used longest ago leaves the memory first,
and is read again from its files when it is asked for, if they are still the same byte by byte.
"""

from __future__ import annotations

import logging
import re
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from workers.serving.about_base import AboutBase
from workers.serving.adapter_file import AdapterWeights, FilesChanged, read_adapter, read_again
from workers.serving.adapter_memory import AdapterMemory, Entry, busy
from workers.serving.config import LlamaConfig
from workers.serving.errors import EngineError, model_not_found
from workers.serving.lora import PlacedAdapter, numbers_needed, place
from workers.serving.passing_thread import in_passing_thread
from workers.serving.probe import Probe, ProbeFailed

logger = logging.getLogger(__name__)

WAIT_SECONDS = 5.0
Result = TypeVar("Result")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}")


@dataclass(frozen=True, eq=False)
class LoadedAdapter:
    """An adapter whose numbers stay where they are until it is released."""

    name: str
    placed: PlacedAdapter
    load_id: str = field(default_factory=lambda: uuid.uuid4().hex)  # another for every load of a name
    chat_template: str | None = None  # None: the base's


class AdapterBank:
    """Loads, lends and unloads adapters. Every method may be called from any thread, but from the engine's
    only `release`: the others wait for files, arithmetic and memory, and hold up nobody who needs none.

    `arena_bytes` is the memory for all adapters' matrices, `max_registered` how many names may be known.
    `probe` proves what is loaded; None leaves that out, for tests without a model.
    """

    def __init__(
        self,
        config: LlamaConfig,
        *,
        base_name: str,
        root: Path | None,
        arena_bytes: int,
        max_registered: int,
        probe: Probe | None,
        base: AboutBase | None = None,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        self._config = config
        self._base_name, self._base = base_name, base or AboutBase()
        self._root = root.resolve() if root else None
        self._max_registered = max_registered
        self._probe = probe
        self._wait_seconds = wait_seconds
        self._entries: dict[str, Entry] = {}
        self._reserved: set[str] = set()  # names being loaded or unloaded: known, and not to be used
        self._lent: dict[str, Entry] = {}  # by load id, while in use
        self._changed = threading.Condition()
        self._memory = AdapterMemory(arena_bytes, self._changed)
        # Files and probes one at a time, so that loading never takes all cores from those that decode.
        self._working = threading.Lock()
        self.hits = self.misses = 0

    @property
    def evictions(self) -> int:
        return self._memory.evictions

    @property
    def bytes(self) -> int:
        """Of the arena, what adapters have now."""
        with self._changed:
            return self._memory.used

    @property
    def capacity_bytes(self) -> int:
        """What adapters may have together."""
        return self._memory.capacity

    @property
    def resident(self) -> int:
        """How many adapters are in memory."""
        with self._changed:
            return self._memory.resident

    @property
    def registered(self) -> int:
        with self._changed:
            return len(self._entries)

    def names(self) -> list[tuple[str, int]]:
        """(name, time of loading in Unix seconds) of every adapter that answers requests."""
        with self._changed:
            return [(entry.name, entry.created) for entry in self._entries.values()]

    def __contains__(self, name: str) -> bool:
        with self._changed:
            return name in self._entries

    def register(self, name: str, path: str) -> None:
        """Check the adapter at `path` and answer to `name`; the first `acquire` loads it.

        Raises EngineError and keeps nothing.
        """
        self._admit(name, path, lambda entry, weights: None)

    def load(self, name: str, path: str) -> None:
        """Check the adapter at `path`, bring it into memory, prove that it answers as it should, and answer
        to `name`. Raises EngineError and keeps nothing."""
        self._admit(name, path, self._load_first)

    def acquire(self, name: str) -> LoadedAdapter:
        """The adapter of this name, kept in memory until `release`; read again if it was evicted.

        Raises EngineError: 404 for an unknown name, 429 while others use all of the memory, 500 if its files
        are no longer those that were loaded.
        """
        deadline = time.monotonic() + self._wait_seconds
        with self._changed:
            entry = self._settled(name, deadline)
            if entry.placed is not None:
                self.hits += 1
                return self._lend(entry)
            self.misses += 1
            entry.busy = True
        try:
            self._load_again(entry, deadline)
            with self._changed:
                return self._lend(entry)
        finally:
            with self._changed:
                entry.busy = False
                self._changed.notify_all()

    def release(self, adapter: LoadedAdapter) -> None:
        """The end of one use of what `acquire` gave."""
        with self._changed:
            entry = self._lent[adapter.load_id]
            entry.users -= 1
            if not entry.users:
                del self._lent[adapter.load_id]
                self._memory.unpin(entry)

    def unload(self, name: str) -> None:
        """Forget an adapter: no new request finds it, those that use it end first, then its memory goes."""
        with self._changed:
            entry = self._entries.pop(name, None)
            if entry is None:
                raise model_not_found(name)
            self._reserved.add(name)
            self._changed.notify_all()
            self._changed.wait_for(lambda: not entry.users and not entry.busy)
            self._memory.drop(entry)
            self._reserved.discard(name)

    def _settled(self, name: str, deadline: float) -> Entry:
        """The entry of this name, once no other thread reads or moves it."""
        while True:
            entry = self._entries.get(name)
            if entry is None:
                raise model_not_found(name)
            if not entry.busy:
                return entry
            if not self._changed.wait(max(0.0, deadline - time.monotonic())):
                raise busy()

    def _lend(self, entry: Entry) -> LoadedAdapter:
        assert entry.placed is not None
        entry.users += 1
        self._lent[entry.load_id] = entry
        self._memory.pin(entry)
        return LoadedAdapter(entry.name, entry.placed, entry.load_id, entry.chat_template)

    def _admit(self, name: str, path: str, bring_in: Callable[[Entry, AdapterWeights], None]) -> None:
        folder = self._inside_root(path)
        self._reserve(name)
        try:
            file = self._work(lambda: read_adapter(folder, self._config, self._base))
            size = numbers_needed(file.weights)
            self._memory.refuse_what_never_fits(size)
            entry = Entry(name, folder, size, file.sha256, file.chat_template)
            bring_in(entry, file.weights)
            with self._changed:
                self._entries[name] = entry
        except OSError:
            raise EngineError(
                "The adapter's files can't be read: check the path.", param="lora_path"
            ) from None
        finally:
            with self._changed:
                self._reserved.discard(name)

    def _load_first(self, entry: Entry, weights: AdapterWeights) -> None:
        """Raises EngineError for one that can't be proved right."""
        try:
            self._place(entry, lambda: weights, time.monotonic() + self._wait_seconds)
        except ProbeFailed as failure:
            logger.error("The adapter %s was refused. %s", entry.name, failure)
            raise EngineError(
                f"The adapter can't be loaded. {failure}", param="lora_path", code="bad_adapter"
            ) from None
        with self._changed:
            self._memory.pin(entry)  # as the one that was used last
            self._memory.unpin(entry)

    def _load_again(self, entry: Entry, deadline: float) -> None:
        try:
            self._place(entry, lambda: self._read_again(entry), deadline)
        except (FilesChanged, ProbeFailed, OSError) as failure:
            why = str(failure) if isinstance(failure, ProbeFailed) else type(failure).__name__
            logger.error("The adapter %s can't be loaded again. %s", entry.name, why)
            raise EngineError(
                "The adapter's files are gone or no longer those that were loaded, so it was not loaded "
                "again: tell your operator.",
                status=500,
                kind="server_error",
                code="adapter_changed",
            ) from None

    def _read_again(self, entry: Entry) -> AdapterWeights:
        return read_again(entry.folder, self._config, self._base, entry.sha256).weights

    def _place(self, entry: Entry, read: Callable[[], AdapterWeights], deadline: float) -> None:
        """Bring an entry into memory, fixed there. Nobody else may have it yet."""
        try:
            self._memory.hold(entry, deadline)
            placed = self._work(lambda: self._write(entry, read()))
        except BaseException:
            with self._changed:
                self._memory.drop(entry)
            raise
        with self._changed:
            entry.placed = placed

    def _write(self, entry: Entry, weights: AdapterWeights) -> PlacedAdapter:
        """Into the part that is set aside, and proved there: the first time against the matrices."""
        assert entry.range is not None
        placed = place(weights, self._config, self._memory.arena, entry.range.start)
        if self._probe is not None:
            if entry.fingerprint is None:
                entry.fingerprint = self._probe.prove(weights, placed)
            else:
                self._probe.prove_again(entry.fingerprint, placed)
        return placed

    def _work(self, work: Callable[[], Result]) -> Result:
        with self._working:
            return in_passing_thread(work)

    def _reserve(self, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise EngineError(
                "An adapter's name has at most 128 letters, digits and . _ : @ - and starts with "
                "a letter or digit.",
                param="lora_name",
            )
        with self._changed:
            if name in self._entries or name in self._reserved or name == self._base_name:
                # Never replaced in place: a name that changed its meaning could give the wrong answers.
                raise EngineError(
                    f"The name “{name}” is already in use: unload it first, or load under another name.",
                    param="lora_name",
                    code="already_loaded",
                )
            if len(self._entries) + len(self._reserved) >= self._max_registered:
                raise EngineError(
                    f"{self._max_registered} adapters are known here, and no more may be: unload one first.",
                    status=507,
                    kind="insufficient_storage",
                    code="no_place",
                )
            self._reserved.add(name)

    def _inside_root(self, path: str) -> Path:
        """The folder meant, with links followed. Outside the adapters' root nothing is looked at (CWE-22)."""
        try:
            folder = Path(path).resolve()
        except (OSError, ValueError, RuntimeError):
            raise EngineError("The path is not valid.", param="lora_path") from None
        if self._root is not None and not folder.is_relative_to(self._root):
            raise EngineError("The path lies outside the folder of adapters.", param="lora_path")
        return folder
