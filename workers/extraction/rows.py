"""Lines to rows: what stands side by side on a page."""

from __future__ import annotations

from collections.abc import Sequence

from workers.extraction.lines import Line

LEVEL = 0.35  # times the type's size: baselines that differ by less are one row

Row = list[Line]


def rows_of(lines: Sequence[Line]) -> list[Row]:
    """The rows from top to bottom, each from left to right."""
    rows: list[Row] = []
    for line in sorted(lines, key=lambda line: line.base):
        if rows and line.base - rows[-1][0].base <= LEVEL * max(line.size, rows[-1][0].size):
            rows[-1].append(line)
        else:
            rows.append([line])
    for row in rows:
        row.sort(key=lambda line: line.left)
    return rows


def text_of(row: Row) -> str:
    return " ".join(line.text for line in row)


def joined(row: Row) -> Line:
    """The row as one line; its type is that of its longest part."""
    if len(row) == 1:
        return row[0]
    longest = max(row, key=lambda line: len(line.text))
    return Line(
        text_of(row),
        row[0].left,
        max(line.right for line in row),
        longest.base,
        longest.size,
        bold=all(line.bold for line in row),
        underlined=all(line.underlined for line in row),
        page=longest.page,
    )
