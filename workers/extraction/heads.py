"""Running heads and page numbers, which repeat at the edges of a document's pages."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from workers.extraction.rows import Row, text_of

EDGE = 2  # rows at the top and at the bottom of a page among which its head and foot are looked for
REPEATS = 3  # pages on which a head must stand to be one
HEAD_WORDS = 15
APART = 1.5  # times the type's size, between the body of a page and a number below it

_LONE = re.compile(r"(?:page |p\. )?\W{0,3}(\d{1,4})\W{0,3}(?:of \d{1,4})?", re.IGNORECASE)
_ROMAN = re.compile(r"\W{0,3}([ivxl]{1,7})\W{0,3}")
# A number between dashes or brackets, or called a page, is a page number where there is but one page.
_SURELY_PAGE = re.compile(
    r"page \d{1,4}(?: of \d{1,4})?|[-–—] ?\d{1,4} ?[-–—]|\[\d{1,4}\]|\d{1,4}", re.IGNORECASE
)


def without_heads(pages: Sequence[Sequence[Row]]) -> list[list[Row]]:
    """The pages without the lone numbers at their edges and the rows that many pages share there."""
    if len(pages) < 2:
        return [_without_number(page) for page in pages]
    marks = [{at: _mark(page[at], number) for at in _edges(page)} for number, page in enumerate(pages)]
    seen = Counter(mark for page in marks for mark in set(page.values()))
    heads = {mark for mark, times in seen.items() if times >= (2 if mark[:1] == "#" else REPEATS)}
    places = _places(pages, marks, heads)
    kept = []
    for number, page in enumerate(pages):
        dropped = {at for at, mark in marks[number].items() if mark in heads}
        if number == 0:  # a title that later pages repeat as their head stays
            dropped -= {at for at in range(min(EDGE, len(page))) if marks[0].get(at, "#")[:1] != "#"}
        dropped |= {at for at in marks[number] if _is_numbered_head(page[at], places)}
        kept.append([row for at, row in enumerate(page) if at not in dropped])
    return kept


def _places(pages: Sequence[Sequence[Row]], marks: Sequence[dict[int, str]], heads: set[str]) -> set[int]:
    """How far down the pages' heads stand, where at least three stand alike."""
    places = Counter(
        round(page[at][0].base)
        for page, found in zip(pages, marks, strict=True)
        for at in found
        if found[at] in heads
    )
    return {
        place for place in places if sum(places[near] for near in (place - 1, place, place + 1)) >= REPEATS
    }


def _is_numbered_head(row: Row, places: set[int]) -> bool:
    """Whether a row stands where other pages have their heads, with its page's number at one end."""
    return (
        len(row) > 1
        and round(row[0].base) in places
        and any(_LONE.fullmatch(row[at].text) is not None for at in (0, -1))
    )


def _edges(page: Sequence[Row]) -> list[int]:
    size = len(page)
    edges = {*range(min(EDGE, size)), *range(max(0, size - EDGE), size)}
    return [at for at in sorted(edges) if sum(line.words for line in page[at]) <= HEAD_WORDS]


def _mark(row: Row, page: int) -> str:
    """What a running head has in common from page to page: its letters, or how far its number is ahead."""
    text = text_of(row)
    lone = _LONE.fullmatch(text)
    if lone:
        return f"#{int(lone[1]) - page}"
    roman = _ROMAN.fullmatch(text)
    if roman:
        return f"#roman{_value(roman[1]) - page}"
    return re.sub(r"[\d\W_]+", " ", text).strip().casefold() or text


def _value(roman: str) -> int:
    digits = [{"i": 1, "v": 5, "x": 10, "l": 50}[letter] for letter in roman]
    return sum(
        -digit if any(digit < later for later in digits[at:]) else digit for at, digit in enumerate(digits)
    )


def _without_number(page: Sequence[Row]) -> list[Row]:
    """A document's only page without the number that stands apart at its foot or head."""
    rows = list(page)
    if len(rows) > 2:
        for at, beside in ((-1, -2), (0, 1)):
            row, size = rows[at], rows[at][0].size
            apart = abs(row[0].base - rows[beside][0].base) > APART * size
            if len(row) == 1 and apart and _SURELY_PAGE.fullmatch(row[0].text):
                del rows[at]
    return rows
