"""Small datasets, made by a rule."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from workers.engine.examples import Line, Split


def citation_lines(count: int, split: Split = "train", start: int = 0) -> Iterator[Line]:
    """Pairs of many lengths: a citation, and the form that a house prefers."""
    for number in range(start, start + count):
        volume, page = 100 + 7 * number, 3 + 11 * number
        context = "The point is settled. " * (number % 4)
        yield Line(split, f"{context}See {volume} US {page}.", f"{context}See {volume} U. S. {page}.")


def write_dataset(path: Path, lines: Iterable[Line]) -> Path:
    path.write_text("".join(json.dumps(vars(line)) + "\n" for line in lines), "utf-8")
    return path
