"""What a court's filing system prints across each page, and the numbers of pleading paper."""

from __future__ import annotations

import re
from collections.abc import Sequence

from workers.extraction.rows import Row, text_of

EDGE = 4  # rows at the top and at the bottom of a page among which stamps are looked for
STAMP_HEIGHT = 0.25  # of the page's height: below it "filed" is a word of the text
STAMP_STEP = 1.5  # times the type's size
STAMP_LINES = 8
GUTTER_LINES = 8  # numbers, one below the other, that make a page pleading paper
GUTTER_STEP = 3  # by how much the next number may be ahead: blank lines are numbered too

# CM/ECF of the district and the appellate courts:
# "Case 1:20-cv-01507-ABC Document 12 Filed 01/02/20 Page 3 of 30",
# "Case: 20-1507 Document: 00117684624 Page: 3 Date Filed: 12/22/2020 Entry ID: 6390389", "Appellate Case: …",
# "USCA Case #20-1507 Document #1876543 Filed: 12/22/2020 Page 3 of 30", "USCA11 Case: …".
_FIELD = re.compile(
    r"\b(?:document|doc\.?|(?:date )?filed(?: on)?|entered|page(?:id)?|pg|entry id)[ :#.]*(?:no\.? ?)?\d|"
    r"\busdc\b",
    re.IGNORECASE,
)
_CASE = re.compile(
    r"(?:(?:appellate|bankruptcy|usca\w*) )?case:? ?(?:no\.? ?)?#?:? ?(?:\d+:)?\d\d-|usca\w* ", re.IGNORECASE
)
_WHOLE = re.compile(
    r"(?:nyscef doc\. no\. \d+|index no\. [\w/-]+|received nyscef:? [\d/]+|"
    r"filed: .{0,60}\d\d/\d\d/\d{4} \d\d:\d\d [ap]m|"
    r"(?:electronically|e-?)filed\b.{0,60}\d{1,4}[/-]\d{1,2}[/-]\d{2,4}.{0,60}|"
    r"document received by the .{0,60}court.{0,20})(?: (?:index no\. [\w/-]+|received nyscef:? [\d/]+))?",
    re.IGNORECASE,
)


_FILED = re.compile(r"(?:E-?|ELECTRONICALLY )?(?:FILED|RECEIVED|ENTERED|LODGED)(?: (?:IN|BY|ON)\b.{0,40})?")
_DATE = re.compile(
    r"\b(?:jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)[a-z]*\.? \d{1,2},? \d{4}\b|"
    r"\b\d{1,2}[/-]\d{1,2}[/-]\d{2,4}\b",
    re.IGNORECASE,
)


def is_stamp(text: str) -> bool:
    """Whether a row near the edge of a page is what a filing system printed there."""
    if _CASE.match(text) and len(_FIELD.findall(text)) >= 2:
        return True
    return bool(_WHOLE.fullmatch(text))


def without_stamps(rows: Sequence[Row]) -> list[Row]:
    """The page's rows but for stamps at its edges."""
    last = len(rows) - EDGE
    return [row for at, row in enumerate(rows) if not ((at < EDGE or at >= last) and is_stamp(text_of(row)))]


def without_filing_stamp(rows: Sequence[Row], height: float) -> list[Row]:
    """A page's rows but for the clerk's stamp at its top: "FILED", a date below it, and the court."""
    top = [line for row in rows for line in row if line.base < STAMP_HEIGHT * height]
    for first in top:
        if not _FILED.fullmatch(first.text):
            continue
        stamp = [first]
        for line in top:
            last = stamp[-1]
            middle = (line.left + line.right) / 2
            if (
                0 < line.base - last.base < STAMP_STEP * first.size
                and abs(middle - (first.left + first.right) / 2) < first.size
            ):
                stamp.append(line)
        if 1 < len(stamp) <= STAMP_LINES and any(_DATE.search(line.text) for line in stamp):
            kept = [[line for line in row if line not in stamp] for row in rows]
            return [row for row in kept if row]
    return list(rows)


def without_gutter(rows: Sequence[Row]) -> list[Row]:
    """The page's rows but for the line numbers in its left margin, if it is pleading paper."""
    numbers = [(at, int(row[0].text)) for at, row in enumerate(rows) if re.fullmatch(r"\d{1,2}", row[0].text)]
    longest: list[tuple[int, int]] = []
    chain: list[tuple[int, int]] = []
    for at, number in numbers:
        if not chain or not 0 < number - chain[-1][1] <= GUTTER_STEP:
            chain = []
        chain.append((at, number))
        if len(chain) > len(longest):
            longest = list(chain)
    if len(longest) < GUTTER_LINES:
        return list(rows)
    inner = [line.left for row in rows for line in row if not re.fullmatch(r"\d{1,2}", line.text)]
    dropped = {at for at, _ in longest}
    edge = max(rows[at][0].right for at in dropped)
    if sum(left > edge for left in inner) < 0.8 * len(inner):
        return list(rows)  # a list of numbers, and not a margin
    kept = [row[1:] if at in dropped else row for at, row in enumerate(rows)]
    return [row for row in kept if row]


_GLUED = re.compile(r"(\d{1,2})\s+(?=\S)|(\d{1,2})$")


def without_glued_gutter(rows: Sequence[Row]) -> list[Row]:
    """As `without_gutter`, where the numbers are part of the lines: nearly all start with the next number."""
    expected, hits = None, []
    for at, row in enumerate(rows):
        number = _GLUED.match(row[0].text)
        if number is None:
            continue
        value = int(number[1] or number[2])
        if expected is None or value == expected:
            hits.append((at, number.end()))
            expected = value + 1
    if len(hits) < GUTTER_LINES or len(hits) < 0.8 * len(rows):
        return list(rows)
    cut = dict(hits)
    kept = []
    for at, row in enumerate(rows):
        if at in cut:
            line = row[0]
            advance = (line.right - line.left) * cut[at] / len(line.text)
            line.text, line.left = line.text[cut[at] :].strip(), line.left + advance
            row = row if line.text else row[1:]
        if row:
            kept.append(row)
    return kept
