"""Bringing an adapter into a replica: only files that are still the ones that were approved, and never into
the last free slot of a vLLM."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Collection
from http import HTTPStatus
from pathlib import Path

from webapp.core.errors import Unavailable
from webapp.serving.empty_adapter import EMPTY
from webapp.serving.engine.answers import EngineRefused
from webapp.serving.engine.calls import Calls, calls_to
from webapp.serving.engine.slots import Slots
from webapp.serving.engine.targets import OURS, WEIGHTS, Target
from webapp.serving.engine_settings import Replica
from webapp.training import selectors as training

log = logging.getLogger(__name__)

LOOKS, PAUSE = 50, 0.1  # how often, and how many seconds apart, to look for another process's load
WAIT_SECONDS = 10  # what a client is told to wait when all slots are in use


class NoPlace(EngineRefused):
    """All places for adapters are in use right now."""

    def __init__(self) -> None:
        super().__init__(
            f"All places for adapters on the model engine are in use; try again in {WAIT_SECONDS} seconds.",
            status=HTTPStatus.SERVICE_UNAVAILABLE,
            code="engine_busy",
            retry_after=WAIT_SECONDS,
        )


def load(replica: Replica, target: Target, *, keep: Collection[str] = ()) -> None:
    """Have `replica` answer to the target's name; nothing happens where it does already. Where a vLLM has no
    place left, the adapter goes that was not used for the longest time and is not in `keep`.

    Blocks. Raises NoPlace, or Unavailable when its base, its files or the engine forbid it.
    """
    if target.base_revision and target.base_revision != training.base_model().revision:
        raise Unavailable(
            f"{target.label} belongs to another base model than the engine serves; train it again."
        )
    check_digest(target)
    with calls_to(replica) as calls:
        if replica.slots is None:
            _load(calls, target)
            return
        slots = Slots(replica)
        with slots.alone():
            _load_counted(calls, slots, replica, target, keep)


def unload(replica: Replica, name: str) -> bool:
    """Whether the name is gone; False while a request uses it. Blocks. Raises Unavailable."""
    with calls_to(replica) as calls:
        if replica.slots is None:
            calls.unload(name)
            return True
        slots = Slots(replica)
        with slots.alone():
            return _unload_unused(calls, slots, name)


def check_digest(target: Target) -> None:
    """Raises Unavailable unless the weights on disk have the SHA-256 that the approver saw."""
    try:
        found = _sha256(target.folder / WEIGHTS)
    except OSError as error:
        log.error("The weights of %s cannot be read: %s.", target.name, error.strerror)
        raise Unavailable(f"The files of {target.label} cannot be read; tell your operator.") from None
    if found != target.sha256:
        log.error("The weights of %s have the SHA-256 %s, not %s.", target.name, found, target.sha256)
        raise Unavailable(
            f"The files of {target.label} are not the ones that were approved, so it was not loaded; "
            "tell your operator."
        )


def _load_counted(
    calls: Calls, slots: Slots, replica: Replica, target: Target, keep: Collection[str]
) -> None:
    """Load into a vLLM, one slot of which stays free whatever happens."""
    assert replica.places is not None
    loaded = set(calls.adapters())
    coming = slots.coming()
    slots.came(*(coming & loaded))
    if target.name in loaded:
        return
    # The empty adapter has a slot of its own.
    taken = (loaded | coming) - {EMPTY, target.name}
    if target.name != EMPTY and len(taken) >= replica.places:
        _make_room(calls, slots, [name for name in loaded if name not in keep], len(taken) - replica.places)
    slots.note_coming(target.name)
    _load(calls, target)  # where its end is not seen, it goes on counting
    slots.came(target.name)


def _make_room(calls: Calls, slots: Slots, loaded: Collection[str], excess: int) -> None:
    """Unload an adapter of ours that nobody uses, the one that was not used for the longest time; more than
    one where an engine was told to take fewer. Raises NoPlace."""
    last = slots.last_used()
    ours = (name for name in loaded if OURS.fullmatch(name))
    gone = 0
    for name in sorted(ours, key=lambda name: last.get(name, 0.0)):
        gone += _unload_unused(calls, slots, name)
        if gone > excess:
            return
    raise NoPlace


def _unload_unused(calls: Calls, slots: Slots, name: str) -> bool:
    if not slots.leave(name):
        return False
    try:
        calls.unload(name)
    finally:
        slots.left(name)
    return True


def _load(calls: Calls, target: Target) -> None:
    status = calls.load(target.name, target.folder)
    if status == HTTPStatus.OK:
        return
    # Another process may have been first, or may be loading it right now: its name belongs to one version.
    if status == HTTPStatus.BAD_REQUEST and _appears(calls, target.name):
        return
    log.error("The engine refused to load %s: HTTP %d", target.name, status)
    raise Unavailable(f"The model engine could not load {target.label}; tell your operator.")


def _appears(calls: Calls, name: str) -> bool:
    for _ in range(LOOKS):
        if name in calls.adapters():
            return True
        time.sleep(PAUSE)
    return False


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
