"""A waiting line that is fair across tenants."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

_WINDOW = 60.0  # seconds over which the recent rate of service is measured
_MANY = 1024  # tenants remembered before those without effect are forgotten


class Waiting(Protocol):
    """What can stand in the line."""

    tenant: str
    cancelled: bool


Item = TypeVar("Item", bound=Waiting)


class FairQueue(Generic[Item]):
    """First come, first served within a tenant; among tenants, whoever was served the least goes next.

    Service is counted as Sheng et al. 2024 count it (“Fairness in Serving Large Language Models”, virtual
    token counter): `charge` adds to a tenant's counter, and a tenant that joins the line is lifted to the
    lowest counter there, so that nobody saves up service by staying away.

    A tenant may have as many waiting as places are left (Choudhury and Hahne 1998, dynamic thresholds): one
    alone gets half the line, and there is always a place for one who comes later. Not safe for threads.
    """

    def __init__(self, places: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._places = places
        self._clock = clock
        self._lines: dict[str, deque[Item]] = {}  # by tenant, none of them empty
        self._served: dict[str, float] = {}
        self._last = ""  # whose item was taken last
        self._taken: deque[float] = deque(maxlen=256)  # when items were taken
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def waiting(self, tenant: str) -> int:
        return len(self._lines.get(tenant, ()))

    def add(self, item: Item) -> bool:
        """Put an item at the end of its tenant's line. False where there is no place for it."""
        if self.waiting(item.tenant) >= self._places - self._count:
            return False
        if item.tenant not in self._lines:
            self._join(item.tenant)
        self._lines[item.tenant].append(item)
        self._count += 1
        return True

    def first(self) -> Item | None:
        """The item whose turn it is, until it is taken: who needs much room is not overtaken for ever."""
        if not self._lines:
            return None
        tenant = min(self._lines, key=lambda one: (self._served[one], one == self._last))
        return self._lines[tenant][0]

    def take(self, item: Item) -> None:
        """The item, which is `first`, leaves the line to be served."""
        self._last = item.tenant
        self._taken.append(self._clock())
        self._count -= 1
        line = self._lines.pop(item.tenant)
        line.popleft()
        if line:
            self._lines[item.tenant] = line  # behind the others, who go first where the counters are equal

    def charge(self, tenant: str, service: float) -> None:
        """A tenant was served: count it, in tokens."""
        self._served[tenant] = self._served.get(tenant, 0.0) + service

    def take_cancelled(self) -> list[Item]:
        """Remove and return those that were given up while they waited."""
        return [item for tenant in list(self._lines) for item in self._drop(tenant, lambda i: i.cancelled)]

    def drain(self) -> list[Item]:
        """Remove and return all."""
        return [item for tenant in list(self._lines) for item in self._drop(tenant, lambda _: True)]

    def retry_after(self, tenant: str) -> int:
        """Seconds (1 to 60) until about half of what this tenant has waiting is served, at the recent rate.

        Half: coming back when the first place is free would only find it taken.
        """
        now = self._clock()
        while self._taken and now - self._taken[0] > _WINDOW:
            self._taken.popleft()
        if not self._taken:
            return int(_WINDOW) if self._count else 1
        rate = len(self._taken) / max(now - self._taken[0], 1.0)
        return min(max(math.ceil(max(self.waiting(tenant), 1) / 2 / rate), 1), int(_WINDOW))

    def _join(self, tenant: str) -> None:
        if len(self._served) >= _MANY:
            self._forget()
        self._served[tenant] = max(self._served.get(tenant, 0.0), self._level())
        self._lines[tenant] = deque()

    def _level(self) -> float:
        """The counter that a tenant who joins now has at least."""
        if self._lines:
            return min(self._served[tenant] for tenant in self._lines)
        return self._served.get(self._last, 0.0)

    def _forget(self) -> None:
        """Drop the counters that make no difference: those of absent tenants who would be lifted anyway."""
        level = self._level()
        kept = {
            tenant: served
            for tenant, served in self._served.items()
            if tenant in self._lines or tenant == self._last or served > level
        }
        self._served = kept

    def _drop(self, tenant: str, chosen: Callable[[Item], bool]) -> list[Item]:
        line = self._lines[tenant]
        dropped = [item for item in line if chosen(item)]
        if dropped:
            rest = deque(item for item in line if not chosen(item))
            self._count -= len(dropped)
            if rest:
                self._lines[tenant] = rest
            else:
                del self._lines[tenant]
        return dropped
