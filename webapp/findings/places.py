"""A finding as a person reads it: its words between the sentences around them."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from webapp.documents.layout import Layout
from webapp.findings.models import Finding
from webapp.findings.redaction import previews

AROUND = 300  # characters, at most, on either side
WORDS = 600  # of a finding that are shown: hidden text may be pages long

# After an abbreviation no sentence begins, but to show a little less of the next one is no harm.
_SENTENCE = re.compile(r"(?<=[a-z\d)\]”\"][.?!])\s+(?=[A-Z“\"(\[])")


@dataclass(frozen=True)
class Place:
    """`before`, `words` and `after` are the text; `note` and `author` what was never part of it.

    `reads` is what a dataset says instead when the finding is redacted.
    """

    finding: Finding
    before: str
    words: str
    after: str
    note: str
    author: str
    reads: str


def places(layout: Layout, shown: Iterable[Finding], known: Iterable[Finding]) -> list[Place]:
    """The places of the findings `shown`. `known` are all of the document: they number the pseudonyms."""
    text, starts = layout.text, layout.starts()
    reads = previews(layout, known)
    found = []
    for finding in shown:
        first = max(0, bisect_right(starts, finding.start) - 1)
        last = max(0, bisect_right(starts, max(finding.start, finding.end - 1)) - 1)
        begin = starts[first] if starts else 0
        end = starts[last] + len(layout.blocks[last].text) if starts else 0
        mark = layout.marks[finding.mark] if finding.mark is not None else None
        found.append(
            Place(
                finding=finding,
                before=_before(text, begin, finding.start),
                words=_short(text[finding.start : finding.end]),
                after=_after(text, finding.end, end),
                note=mark.note if mark else "",
                author=mark.author if mark else "",
                reads=reads.get(finding.id, ""),
            )
        )
    return found


def _before(text: str, begin: int, at: int) -> str:
    """From the paragraph's `begin` at most: the rest of the sentence before `at`, and the one before that."""
    first = max(begin, at - AROUND)
    ends = [match.end() for match in _SENTENCE.finditer(text, first, at)]
    if len(ends) > 1:
        return text[ends[-2] : at]
    return text[first:at] if first == begin else "… " + text[first:at].partition(" ")[2]


def _after(text: str, at: int, end: int) -> str:
    """To the paragraph's `end` at most: the rest of the sentence after `at`, and the one after that."""
    last = min(end, at + AROUND)
    ends = [match.start() for match in _SENTENCE.finditer(text, at, last)]
    if len(ends) > 1:
        return text[at : ends[1]]
    return text[at:last] if last == end else text[at:last].rpartition(" ")[0] + " …"


def _short(words: str) -> str:
    half = WORDS // 2
    return words if len(words) <= WORDS else f"{words[:half]} … {words[-half:]}"
