"""Lines on pages to paragraphs: running heads and page numbers dropped, broken words joined."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

EDGE = 2  # lines at the top and at the bottom of a page among which its head and foot are looked for
REPEATS = 3  # pages on which a head must stand to be one
HEAD_WORDS = 15
SHORT = 0.7  # of the page's width: where the next word would have fitted, the break was meant


@dataclass(frozen=True)
class Line:
    """One line of a page. `indent` is in characters; `gap` says that white space stands above it."""

    text: str
    indent: float = 0
    gap: bool = False


def to_text(pages: Sequence[Sequence[Line]]) -> str:
    """The pages' paragraphs, each on one line, apart by blank lines."""
    cleaned = [
        [Line(text, line.indent, line.gap) for line in page if (text := readable(line.text))]
        for page in pages
    ]
    paragraphs: list[list[str]] = []
    for page in _without_heads(cleaned):
        for line, starts in zip(page, _starts(page), strict=True):
            across_pages = line is page[0] and paragraphs and _goes_on(paragraphs[-1][-1], line.text)
            if starts and not across_pages:
                paragraphs.append([])
            paragraphs[-1].append(line.text)
    compounds = set(_COMPOUND.findall(" ".join(line for paragraph in paragraphs for line in paragraph)))
    return "\n\n".join(_joined(paragraph, compounds) for paragraph in paragraphs)


_LOOKALIKES = str.maketrans(
    {"\ufb00": "ff", "\ufb01": "fi", "\ufb02": "fl", "\ufb03": "ffi", "\ufb04": "ffl", "\u2011": "-"}
)
# Control and format characters, and halves of surrogate pairs: nothing one reads, and databases refuse some.
_UNREADABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\ufff0-\uffff\ud800-\udfff]"
)


def readable(text: str) -> str:
    """One line of text with single spaces, plain letters for ligatures, and nothing that cannot be read."""
    text = text.translate(_LOOKALIKES)
    # A soft hyphen matters at a line's end only: there it is the hyphen that broke the word.
    text = re.sub("\u00ad(?=\\s*$)", "-", text).replace("\u00ad", "")
    return " ".join(_UNREADABLE.sub("", text).split())


def _without_heads(pages: list[list[Line]]) -> list[list[Line]]:
    """The pages without the lone numbers at their edges and the lines that many pages share there."""
    if len(pages) < 2:
        return pages
    marks = [{at: _mark(page[at], number) for at in _edges(page)} for number, page in enumerate(pages)]
    seen = Counter(mark for page in marks for mark in set(page.values()))
    heads = {mark for mark, times in seen.items() if times >= (2 if mark.startswith("#") else REPEATS)}
    kept = []
    for number, page in enumerate(pages):
        dropped = {at for at, mark in marks[number].items() if mark in heads}
        if number == 0:  # a title that later pages repeat as their head stays
            dropped -= {at for at in range(min(EDGE, len(page))) if not marks[0].get(at, "").startswith("#")}
        kept.append([line for at, line in enumerate(page) if at not in dropped])
    return kept


def _edges(page: Sequence[Line]) -> Iterable[int]:
    size = len(page)
    edges = {*range(min(EDGE, size)), *range(max(0, size - EDGE), size)}
    return [at for at in edges if len(page[at].text.split()) <= HEAD_WORDS]


def _mark(line: Line, page: int) -> str:
    """What a running head has in common from page to page: its letters, or how far its number is ahead."""
    lone = re.fullmatch(r"(?:page )?\W{0,3}(\d{1,4})\W{0,3}(?:of \d{1,4})?", line.text, re.IGNORECASE)
    if lone:
        return f"#{int(lone[1]) - page}"
    return re.sub(r"[\d\W_]+", " ", line.text).strip().casefold() or line.text


def _starts(page: Sequence[Line]) -> list[bool]:
    """For each line whether a paragraph starts there: by white space, indent, or a short line above."""
    if not page:
        return []
    margin = Counter(round(line.indent) for line in page).most_common(1)[0][0]
    width = sorted(len(line.text) for line in page)[len(page) * 9 // 10]
    return [True] + [
        not _goes_on_in_lower_case(above.text, line.text)
        and (
            line.gap
            or (line.indent >= above.indent + 2 and line.indent >= margin + 2)
            or (line.indent <= margin - 2 and above.indent > line.indent + 1)
            or len(above.text) + 1 + len(line.text.split()[0]) < SHORT * width
        )
        for above, line in itertools.pairwise(page)
    ]


def _goes_on_in_lower_case(above: str, line: str) -> bool:
    return line[0].islower() and (above.endswith("-") or above[-1].isalpha() or above[-1] == ",")


def _goes_on(above: str, line: str) -> bool:
    """Whether the last paragraph of a page goes on at the next page's first line."""
    if above.rstrip("\u201d\u2019\"')]").endswith((".", "?", "!", ":", ";")):
        return False
    return line[0].islower() or len(above.split()) > 6


_COMPOUND = re.compile(r"\b[^\W\d_]+-[^\W\d_]+")


def _joined(lines: Sequence[str], compounds: set[str]) -> str:
    """Lines to one. A word broken at a line's end loses its hyphen unless it is one of `compounds`."""
    pieces = [lines[0]]
    for above, line in itertools.pairwise(lines):
        tail, head = re.search(r"\b([^\W\d_]+)-$", above), re.match(r"[^\W\d_]+", line)
        if tail and head and line[0].islower():
            if f"{tail[1]}-{head[0]}" not in compounds:
                pieces[-1] = pieces[-1][:-1]
        elif not above.endswith(("\u2014", "\u2013")):
            pieces.append(" ")
        pieces.append(line)
    return "".join(pieces)
