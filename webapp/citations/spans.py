"""What of a text is one citation to a reader, for whoever must not cut one."""

from __future__ import annotations

import re
from collections.abc import Sequence

from webapp.citations.marks import Citation, Kind

# What follows these belongs to them: the section, the rule, the page.
_OPEN = {Kind.CODE, Kind.SECTION, Kind.PARAGRAPH, Kind.RULE, Kind.ID, Kind.SUPRA}
_NEXT = re.compile(r"\s?\S{0,80}")


def whole_spans(text: str, citations: Sequence[Citation]) -> list[tuple[int, int]]:
    """Bounds of every citation of `text` with its case's name, pages and parentheses; apart and in order."""
    spans: list[tuple[int, int]] = []
    for citation in citations:
        start, end = citation.whole
        if citation.kind in _OPEN:
            following = _NEXT.match(text, end)
            end = following.end() if following else end
        if spans and start <= spans[-1][1]:
            start, end = min(start, spans[-1][0]), max(end, spans[-1][1])
            spans.pop()
        spans.append((start, end))
    return spans
