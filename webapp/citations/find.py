"""Where the citations of a text are and what they cite, whatever house style they are printed in.

Case reporters are eyecite's work (Free Law Project), the marks around them are `marks`'.
"""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

from webapp.citations.marks import Citation, Kind, find_marks, find_pins

# A long text is read piece by piece: eyecite's time grows with the square of what it is given.
WINDOW = 10_000  # characters
REACH = 1_000  # no citation is longer


def find_citations(text: str, *, limit: int | None = None) -> list[Citation]:
    """Every citation of `text`, or the first `limit`, in order, none overlapping another.

    Costs 1 to 5 ms per case citation.
    """
    apart: list[Citation] = []
    start = 0
    while start < len(text) and (limit is None or len(apart) < limit):
        piece = text[start : start + WINDOW + REACH]
        last = start + len(piece) == len(text)
        for citation in _read(piece):
            if citation.start < WINDOW or last:
                apart.append(citation.moved(start))
        done = max(start + WINDOW, apart[-1].end if apart else 0)
        start = len(text) if last else _next_space(text, done)
    return apart[:limit]


def _next_space(text: str, at: int) -> int:
    space = re.compile(r"\s").search(text, at, at + REACH)
    return space.start() if space else at


def _read(text: str) -> Iterator[Citation]:
    found = [*find_marks(text), *_cases(text)]
    for citation in list(found):
        if citation.kind in (Kind.ID, Kind.SUPRA):
            found += find_pins(text, citation.end)
        elif citation.kind == Kind.SHORT:
            found += find_pins(text, citation.end - len(citation.parts["page"]))
        elif citation.kind == Kind.CASE and text.startswith(", ", citation.end):
            found += find_pins(text, citation.end + 2)
    end = 0
    for citation in sorted(found, key=lambda citation: (citation.start, -citation.end)):
        if citation.start >= end:
            yield citation
            end = citation.end


def _cases(text: str) -> Iterator[Citation]:
    if not re.search(r"\d .*\d", text):
        return
    models, get_citations = _eyecite()
    for found in get_citations(text):
        groups = found.groups
        short = isinstance(found, models.ShortCaseCitation)
        # A page not yet printed, 570 U. S. ___, stays as it is.
        if not isinstance(found, models.CaseCitation) or not groups.get("page") or not groups.get("volume"):
            continue
        start, end = found.span()
        if short:  # its span ends before or behind the page, as the pages are printed
            at = re.compile(rf"[^\n]*? at {re.escape(groups['page'])}\b").match(text, start)
            end = at.end() if at else end
        nominative = groups.get("reporter_nominative")
        parts = {
            "volume": groups["volume"],
            "reporter": found.corrected_reporter(),
            "nominative": f" ({groups['volume_nominative']} {nominative})" if nominative else "",
            "page": groups["page"],
        }
        if text[start:end].startswith(parts["volume"]) and text[start:end].endswith(parts["page"]):
            opens, closes = found.full_span()
            kind = Kind.SHORT if short else Kind.CASE
            yield Citation(kind, start, end, text[start:end], parts, (min(opens, start), max(closes, end)))


@functools.cache
def _eyecite() -> tuple[Any, Callable[[str], list[Any]]]:
    # Imported on first use: the web process starts without the reporters database.
    from eyecite import get_citations, models
    from eyecite.tokenizers import AhocorasickTokenizer

    # eyecite logs the words of citations it doubts; a firm's text must never reach a log.
    logging.getLogger("eyecite").setLevel(logging.CRITICAL + 1)
    tokenizer = AhocorasickTokenizer()
    return models, lambda text: get_citations(text, tokenizer=tokenizer)
