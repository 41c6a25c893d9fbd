"""Rows to flows: columns read one after the other, captions side by side, tables row by row."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from workers.extraction.lines import Flow, Line
from workers.extraction.rows import Row, joined

COLUMN_LINES = 4  # at least, on each side of a gutter
COLUMN_WORDS = 4  # to a line, on average: what has fewer is a table
FULL = 0.6  # of a column's broad lines that its middling line is as broad as
BRACKETS = {")", ":", "§", "|", "}", "]", "*", "(", "{"}  # down the middle of a caption
CAPTION_LINES = 3
APART = 1.4  # times the usual distance of lines
DEPTH = 3


def flows_of(rows: Sequence[Row], depth: int = 0) -> list[Flow]:
    """What is on a page in the order in which one reads it. Margins are still those of its own lines."""
    rows = [row for row in rows if row]
    found = None
    if depth < DEPTH and len(rows) > 1:
        found = _caption(rows) or _columns(rows)
    if found is None:
        return [Flow([joined(row) for row in rows])] if rows else []
    before, after = rows[: found.begin], rows[found.end :]
    inside = rows[found.begin : found.end]
    left = [[line for line in row if line.left < found.gutter] for row in inside]
    right = [[line for line in row if line.left >= found.gutter] for row in inside]
    if found.caption:
        left, right = (
            [[line for line in row if line.text not in BRACKETS] for row in side] for side in (left, right)
        )
        parts = [Flow([joined(row) for row in side if row], column=True) for side in (left, right)]
    else:
        parts = [*flows_of(left, depth + 1), *flows_of(right, depth + 1)]
        for part in parts:
            part.column = True
    return [*flows_of(before, depth + 1), *parts, *flows_of(after, depth + 1)]


@dataclass(frozen=True)
class _Split:
    """Rows from `begin` to `end` stand on both sides of `gutter`."""

    begin: int
    end: int
    gutter: float
    caption: bool = False


def _caption(rows: Sequence[Row]) -> _Split | None:
    """A caption's brackets, one above the other, with the parties on the left and the docket on the right."""
    places = [
        (number, line.left, line.size)
        for number, row in enumerate(rows)
        for line in row
        if line.text in BRACKETS
    ]
    edges = {round(at / size): (at, size) for _, at, size in reversed(places)}
    for at, size in edges.values():
        numbers = [number for number, left, _ in places if abs(left - at) < size]
        begin, end = numbers[0], numbers[-1] + 1
        if len(numbers) < CAPTION_LINES or end - begin > 3 * len(numbers):
            continue
        inside = [line for row in rows[begin:end] for line in row if line.text not in BRACKETS]
        if (
            any(line.left < at for line in inside)
            and any(line.left > at for line in inside)
            and not any(_crosses(line, at) for line in inside)
        ):
            return _Split(begin, end, at, caption=True)
    return None


def _columns(rows: Sequence[Row]) -> _Split | None:
    """The topmost stretch of rows that stands in columns of running text, if there is one."""
    lines = [line for row in rows for line in row]
    far_left, far_right = min(line.left for line in lines), max(line.right for line in lines)
    unit = statistics.median(line.size for line in lines)
    edges = Counter(round(line.left / unit) for line in lines)
    best: _Split | None = None
    for edge, count in edges.items():
        if count + edges[edge - 1] + edges[edge + 1] < COLUMN_LINES:
            continue
        at = min(line.left for line in lines if abs(line.left / unit - edge) <= 0.75)
        if not 0.15 < (at - far_left) / max(1.0, far_right - far_left) < 0.85:
            continue
        for split in _stretches(rows, at):
            if best is None or split.begin < best.begin:
                best = split
    return best


def _crosses(line: Line, at: float) -> bool:
    return line.left < at - line.size / 4 and line.right > at - line.size / 4


def _stretches(rows: Sequence[Row], at: float) -> list[_Split]:
    """Where no line crosses `at`, and running text stands on both sides of it."""
    crossed = [-1, *(number for number, row in enumerate(rows) if any(_crosses(line, at) for line in row))]
    found = []
    for above, below in pairwise([*crossed, len(rows)]):
        left = [
            number for number in range(above + 1, below) if any(line.left < at - 1 for line in rows[number])
        ]
        right = [
            number for number in range(above + 1, below) if any(line.left >= at - 1 for line in rows[number])
        ]
        if len(left) < COLUMN_LINES or len(right) < COLUMN_LINES:
            continue
        begin, end = above + 1, below
        # What stands apart from the left column, above the right one or below it, is no longer of the column.
        begin = max([begin, *(at for at in _apart(rows, left) if at <= right[0])])
        end = min([end, *(at for at in _apart(rows, left) if at > right[-1])])
        # Side by side, not one below the other.
        overlap = min(left[-1], right[-1]) - max(left[0], right[0]) + 1
        if overlap < min(left[-1] - left[0] + 1, right[-1] - right[0] + 1) / 2:
            continue
        sides = (
            [line for number in range(begin, end) for line in rows[number] if line.left < at - 1],
            [line for number in range(begin, end) for line in rows[number] if line.left >= at - 1],
        )
        if all(map(_runs_on, sides)):
            found.append(_Split(begin, end, at - 1))
    return found


def _apart(rows: Sequence[Row], numbers: Sequence[int]) -> list[int]:
    """Which of these rows have white space above them."""
    steps = [rows[at][0].base - rows[above][0].base for above, at in pairwise(numbers)]
    usual = statistics.median(steps)
    return [at for at, step in zip(numbers[1:], steps, strict=True) if step > APART * usual]


def _runs_on(side: Sequence[Line]) -> bool:
    """Whether these lines are running text, and no column of a table."""
    widths = sorted(line.right - line.left for line in side)
    return (
        sum(line.words for line in side) >= COLUMN_WORDS * len(side)
        and widths[len(widths) // 2] >= FULL * widths[len(widths) * 9 // 10]
    )
