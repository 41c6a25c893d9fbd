"""One stretch of memory for the matrices of all adapters: which part of it the next one gets.

Ranges are given out first-fit. Where no gap is large enough, the adapters that were used longest ago make
room, and those that stay are moved together, so that the memory between them is never lost.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from workers.serving.lora import PlacedAdapter


@dataclass(eq=False)
class Range:
    """`size` numbers from `start` on. Fixed is what may neither be evicted nor moved now; `used` orders the
    others, the last one used highest."""

    start: int
    size: int
    fixed: bool = True
    used: int = 0

    @property
    def end(self) -> int:
        return self.start + self.size


@dataclass(frozen=True)
class Room:
    """How the next range, from `start` on, comes to be: evict, then move in this order. All that is moved
    stood before its end, and stands before its start then: nobody else can be given the old places meanwhile.
    """

    start: int
    evict: list[Range] = field(default_factory=list)
    move: list[tuple[Range, int]] = field(default_factory=list)  # each to where it begins then

    @property
    def cost(self) -> tuple[int, int]:
        """What is lost: the last use of anything evicted, then how many numbers are moved."""
        return max((one.used for one in self.evict), default=-1), sum(one.size for one, _ in self.move)


def find_room(total: int, taken: Collection[Range], size: int) -> Room | None:
    """The cheapest room for `size` of `total` numbers; None while what is fixed leaves none."""
    ordered = sorted(taken, key=lambda one: one.start)
    for start, end in _gaps(0, total, ordered):
        if end - start >= size:
            return Room(start)
    rooms = [
        _room_between(start, end, [one for one in ordered if start <= one.start < end], size)
        for start, end in _gaps(0, total, [one for one in ordered if one.fixed])
        if end - start >= size
    ]
    return min(rooms, key=lambda room: room.cost, default=None)


def _gaps(start: int, end: int, ordered: Sequence[Range]) -> list[tuple[int, int]]:
    """What lies between the ranges, from `start` to `end`; gaps of no numbers too."""
    starts = [start, *(one.end for one in ordered)]
    return list(zip(starts, [*(one.start for one in ordered), end], strict=True))


def _room_between(start: int, end: int, movable: list[Range], size: int) -> Room:
    """Room in a stretch that is large enough, and in which nothing is fixed."""
    evict: list[Range] = []
    free = end - start - sum(one.size for one in movable)
    for one in sorted(movable, key=lambda one: one.used):
        if free >= size:
            break
        evict.append(one)
        free += one.size
    gone = set(map(id, evict))
    return _cheapest_move(start, end, [one for one in movable if id(one) not in gone], evict, size)


def _cheapest_move(start: int, end: int, kept: list[Range], evict: list[Range], size: int) -> Room:
    """Of all runs of neighbours between whose gaps there is room, the one with the least to move."""
    gaps = _gaps(start, end, kept)
    best: tuple[int, int, int] | None = None  # numbers to move, first gap, last gap
    first = free = moved = 0
    for last, (low, high) in enumerate(gaps):
        free += high - low
        moved += kept[last - 1].size if last > first else 0
        while free >= size:
            if best is None or moved < best[0]:
                best = (moved, first, last)
            free -= gaps[first][1] - gaps[first][0]
            moved -= kept[first].size if first < last else 0
            first += 1
            if first > last:
                break
    assert best is not None
    to, move = gaps[best[1]][0], []
    for one in kept[best[1] : best[2]]:
        if one.start != to:
            move.append((one, to))
        to += one.size
    return Room(to, evict, move)


def move(arena: Tensor, placed: PlacedAdapter, start: int) -> PlacedAdapter:
    """The same adapter from `start` on, which may overlap where it was. None of it may be in use."""
    numbers = arena.numpy()
    numbers[start : start + placed.size] = numbers[placed.start : placed.start + placed.size]
    parts = placed.parts.copy()
    parts[..., 1:3] += (start - placed.start) * (parts[..., :1] > 0)  # where A and B begin
    return dataclasses.replace(placed, start=start, parts=parts)
