"""What every engine holds, kept equal to what must answer: after a restart, a missed call, a new replica.

Requests do not depend on it: an adapter that a replica lacks is loaded at its first use. This makes the first
use quick, and lets go what nobody needs any more.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import redis

from webapp.core.errors import AppError, Unavailable
from webapp.core.jobs import services as jobs
from webapp.serving import empty_adapter, selectors
from webapp.serving.engine import loading, placing
from webapp.serving.engine.calls import CallFailed, calls_to
from webapp.serving.engine.slots import Slots
from webapp.serving.engine.targets import OURS, Target, empty_target, replicas
from webapp.serving.engine_settings import Kind, Replica
from webapp.training import selectors as training

log = logging.getLogger(__name__)

TASK = "housestyle.reconcile"
# A version that is not live and not on trial stays so long after its last use, where there is room.
KEPT_SECONDS = 30 * 60


@dataclass(frozen=True)
class Held:
    """One replica as it was found: `loaded` of the versions that it should hold (`wanted`), `others` besides.

    Numbers and engine names only: an operator sees these, and no firm's words.
    """

    replica: Replica
    healthy: bool
    problem: str = ""
    load: int | None = None
    loaded: frozenset[str] = field(default_factory=frozenset)
    wanted: frozenset[str] = field(default_factory=frozenset)

    @property
    def missing(self) -> frozenset[str]:
        return self.wanted - self.loaded

    @property
    def others(self) -> frozenset[str]:
        return self.loaded - self.wanted - {empty_adapter.EMPTY}

    @property
    def in_order(self) -> bool:
        return self.healthy and not self.problem and not self.missing


def wake() -> None:
    """Let a worker reconcile now. A lost message costs seconds: beat sends one again and again."""
    jobs.publish(TASK)


def reconcile() -> list[Held]:
    """Bring every replica to what it should hold, as far as it answers; returns what each held before.

    For workers: it reads what is live in all firms.
    """
    targets = _wanted()
    every = replicas()
    return [_reconcile(replica, _share(replica, every, targets)) for replica in every]


def survey() -> list[Held]:
    """What every replica holds and should hold. Changes nothing."""
    targets = _wanted()
    every = replicas()
    return [_look(replica, _share(replica, every, targets)) for replica in every]


def _wanted() -> dict[str, Target]:
    """What must be able to answer, by engine name: what is live or on trial, of the base that is served."""
    try:
        versions = [row for row in selectors.wanted() if training.is_of_served_base(row.run)]
    except Unavailable:  # no base is prepared yet
        return {}
    return {version.engine_name: Target.of(version) for version in versions}


def _share(replica: Replica, every: Sequence[Replica], targets: Mapping[str, Target]) -> dict[str, Target]:
    """What of all this the replica should hold: everything, or where a vLLM has fewer places, those for which
    it is asked before others."""
    names = sorted(targets)
    if replica.places is not None and len(names) > replica.places:
        names.sort(key=lambda name: placing.ranked([other.name for other in every], name).index(replica.name))
        names = names[: replica.places]
    return {name: targets[name] for name in names}


def _look(replica: Replica, targets: Mapping[str, Target]) -> Held:
    wanted = frozenset(targets)
    with calls_to(replica) as calls:
        if not calls.healthy():
            return Held(replica, healthy=False, problem="It does not answer.", wanted=wanted)
        try:
            loaded, load = frozenset(calls.adapters()), calls.load_now()
        except CallFailed as failed:
            return Held(replica, healthy=True, problem=failed.message, wanted=wanted)
        return Held(replica, healthy=True, load=load, loaded=loaded, wanted=wanted)


def _reconcile(replica: Replica, targets: Mapping[str, Target]) -> Held:
    held = _look(replica, targets)
    if not held.healthy or held.problem:
        log.warning("The engine %s was left as it is: %s", replica.name, held.problem)
        return held
    for name in _to_unload(replica, held):
        _try(replica, partial(loading.unload, replica, name))
    missing = [targets[name] for name in sorted(held.missing)]
    if replica.kind is Kind.VLLM and empty_adapter.EMPTY not in held.loaded:
        missing[:0] = _empty()
    for target in missing:
        _try(replica, partial(loading.load, replica, target, keep=held.wanted))
    return held


def _to_unload(replica: Replica, held: Held) -> list[str]:
    """Versions that need not be held and were not used lately. Names that others gave are left alone, and so
    is everything while Redis, which knows of the uses, is away."""
    ours = [name for name in held.others if OURS.fullmatch(name)]
    try:
        last = Slots(replica).last_used() if ours else {}
    except redis.RedisError:
        return []
    return [name for name in ours if last.get(name, 0.0) < time.time() - KEPT_SECONDS]


def _empty() -> list[Target]:
    try:
        return [empty_target()]
    except Unavailable:  # the base alone is then refused on this engine, with a sentence of its own
        return []


def _try(replica: Replica, change: Callable[[], object]) -> None:
    """Make one change; one that fails is made again next time, and keeps no other from being made."""
    try:
        change()
    except AppError as error:
        log.warning("The engine %s: %s", replica.name, error.message)
