"""Where the bars of a report's pictures stand, in the units of their view boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT = 640, 220
LEFT, RIGHT, TOP, BOTTOM = 44, 8, 14, 32
GAP = 6  # between bars
SPOKEN = 2  # every so many bars are named


@dataclass(frozen=True)
class Bar:
    """One length's bar: held-out examples stand on the training ones. Numbers are ready for attributes."""

    x: str
    width: str
    train_y: str
    train_height: str
    heldout_y: str
    heldout_height: str
    label_x: str
    anchor: str  # of the label: within the picture at both ends
    label: str  # tokens, "65–128"
    is_named: bool
    train: int
    heldout: int


@dataclass(frozen=True)
class Line:
    y: str
    count: int


@dataclass(frozen=True)
class Histogram:
    bars: Sequence[Bar]
    lines: Sequence[Line]
    limit_x: str  # between the last bar that fits and the first that training would cut


def histogram(lengths: dict[str, Any]) -> Histogram:
    """The picture of a report's `lengths`."""
    told = lengths["bars"]
    highest = max((bar["train"] + bar["heldout"] for bar in told), default=0)
    top = _round_up(highest)
    room = HEIGHT - TOP - BOTTOM
    step = (WIDTH - LEFT - RIGHT) / len(told)

    def y(count: float) -> float:
        return TOP + room * (1 - count / top)

    bars = []
    limit: float = LEFT
    for at, bar in enumerate(told):
        x = LEFT + at * step
        ends = 0 if at == 0 else 2 if at == len(told) - 1 else 1
        both = bar["train"] + bar["heldout"]
        bars.append(
            Bar(
                x=_n(x + GAP / 2),
                width=_n(step - GAP),
                train_y=_n(y(bar["train"])),
                train_height=_n(room * bar["train"] / top),
                heldout_y=_n(y(both)),
                heldout_height=_n(room * bar["heldout"] / top),
                label_x=_n((x, x + step / 2, x + step)[ends]),
                anchor=("start", "middle", "end")[ends],
                label=label(bar),
                is_named=at % SPOKEN == 0,
                train=bar["train"],
                heldout=bar["heldout"],
            )
        )
        if bar["last"] is not None and bar["last"] <= lengths["limit"]:
            limit = x + step
    lines = [Line(_n(y(count)), count) for count in (0, top // 2, top)]
    return Histogram(bars, lines, _n(limit))


def label(bar: dict[str, Any]) -> str:
    return f"over {bar['first'] - 1}" if bar["last"] is None else f"{bar['first']}–{bar['last']}"


def _round_up(count: int) -> int:
    """The next even number that reads well on an axis: 2, 4, 10, 20, 40, 100, …"""
    size = 1
    while True:
        for step in (2, 4, 10):
            if step * size >= count:
                return step * size
        size *= 10


def _n(value: float) -> str:
    return f"{value:.1f}"
