"""Where sentences begin in legal prose.

nupunkt (Bommarito, Katz and Bommarito 2025, "Precise Legal Sentence Boundary Detection for Retrieval at
Scale") knows that "Fed. R. Civ. P. 12" and "U. S. C." end no sentence.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable, Sequence

from webapp.citations import Citation, whole_spans

Span = tuple[int, int]

# A long text is read piece by piece, to bound the memory; each begins where a sentence does.
WINDOW = 100_000  # characters
REACH = 1_000  # how far nupunkt may look ahead


def sentence_starts(text: str) -> list[int]:
    """Where each sentence of `text` but the first begins. 8 MB take 4 to 20 s."""
    # Imported on first use: the web process needs none of it. nupunkt loads its model once by itself.
    import nupunkt

    starts: list[int] = []
    at = 0
    while True:
        piece = text[at : at + WINDOW]
        last = at + len(piece) == len(text)
        found = [at + start for start, _ in nupunkt.sent_spans(piece)[1:] if last or start < WINDOW - REACH]
        starts += found
        if last:
            return starts
        at = found[-1] if found else at + WINDOW - REACH


def cuttable(text: str, citations: Sequence[Citation]) -> list[int]:
    """Where `text` may be cut: between two sentences, but not inside one of its `citations` or a quotation.

    A quotation mark without its partner is no quotation, and a paragraph's number no sentence.
    """
    spans = _merged([*whole_spans(text, citations), *_quotations(text), *_number(text)])
    begins = [start for start, _ in spans]
    places = []
    for at in sentence_starts(text):
        before = bisect.bisect_left(begins, at) - 1
        if before < 0 or spans[before][1] <= at:
            places.append(at)
    return places


def _quotations(text: str) -> Iterable[Span]:
    yield from (match.span() for match in re.finditer("“[^“”]*”", text))
    if text.count('"') % 2 == 0:
        yield from (match.span() for match in re.finditer('"[^"]*"', text))


def _number(text: str) -> Iterable[Span]:
    if match := re.match(r"\s*\(?(?:\d{1,4}|[A-Za-z]|[ivxIVX]{1,5})[.)]\s+", text):
        yield 0, match.end() + 1


def _merged(spans: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
