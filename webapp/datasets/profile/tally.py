"""Counts of forms, with a few short examples of each: what a profile keeps, however much it reads."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

EXAMPLES = 3  # of each form
EXAMPLE_LENGTH = 160  # characters
_HIT_LENGTH = 90
_BEFORE = 60

Example = dict[str, str]  # before, hit, after: the form and what stands around it


class Tally:
    """How often each form of each feature was met.

    Hits of one text are told in any order and settled together, so that the examples are the first in the
    text, whoever found them.
    """

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)
        self.examples: dict[tuple[str, str], list[Example]] = {}
        self._found: dict[tuple[str, str], list[tuple[int, int]]] = {}

    def hit(self, feature: str, form: str, start: int, end: int) -> None:
        """`form` stands at `text[start:end]` of the text that `settle` will get."""
        self.counts[feature][form] += 1
        if self.wants(feature, form):
            self._found.setdefault((feature, form), []).append((start, end))

    def add(self, feature: str, form: str, times: int, places: Iterable[tuple[int, int]] = ()) -> None:
        """`form` was met `times` times; `places` are looked at only while examples of it are wanted."""
        if times:
            self.counts[feature][form] += times
            if self.wants(feature, form):
                self._found.setdefault((feature, form), []).extend(places)

    def wants(self, feature: str, form: str) -> bool:
        return len(self.examples.get((feature, form), ())) < EXAMPLES

    def settle(self, text: str) -> None:
        """Take the examples that are still wanted from `text`."""
        for key, places in self._found.items():
            kept = self.examples.setdefault(key, [])
            for start, end in sorted(places):
                if len(kept) == EXAMPLES:
                    break
                example = excerpt(text, start, end)
                if example not in kept:
                    kept.append(example)
        self._found.clear()


def excerpt(text: str, start: int, end: int) -> Example:
    """`text[start:end]` with the words around it, within its line, EXAMPLE_LENGTH characters at most."""
    end = min(end, start + _HIT_LENGTH)
    line_start = text.rfind("\n", 0, start) + 1
    line_end = text.find("\n", end)
    line_end = len(text) if line_end < 0 else line_end
    first = max(line_start, start - _BEFORE)
    if first > line_start:  # begin with a whole word
        space = text.find(" ", first, start)
        first = space + 1 if space >= 0 else start
    before = ("…" if first > line_start else "") + text[first:start]
    room = EXAMPLE_LENGTH - len(before) - (end - start)
    last = line_end
    if last - end > room:
        space = text.rfind(" ", end, end + room)
        last = space if space >= 0 else end
    after = text[end:last] + ("…" if last < line_end else "")
    return {"before": before, "hit": text[start:end], "after": after}
