"""Footnotes, kept apart from the text that they stand under."""

from __future__ import annotations

import re
from collections.abc import Sequence

from workers.extraction.lines import Flow, Line, Page

SMALLER = 0.93  # of the body's type size
LOWER = 0.25  # of the page's height: no footnote stands above
TIGHTER = 0.75  # of the usual distance of lines
LONGEST_RULE = 0.7  # of the text's width: what is longer divides the page, or is a table's

_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_MARK = re.compile(
    r"([⁰¹²³⁴⁵⁶⁷⁸⁹]{1,3}|\d{1,3}(?=[\s.)]*[^\W\d_]|[\s.)]*[“\"‘'(\[§])|[*†‡]{1,3})[.)]?\s*(?=\S)"
)
_DRAWN_RULE = re.compile(r"[—–_\-─―]{4,}")


def mark_of(text: str) -> str | None:
    """The number or sign that a footnote starts with."""
    found = _MARK.match(text)
    return found[1].translate(_SUPERSCRIPT) if found else None


def take_footnotes(page: Page, flows: Sequence[Flow], body: float, going_on: bool) -> list[Line]:
    """Take the footnotes' lines out of the page's flows, and return them.

    `body` is the size of the document's running text. `going_on` says that the page before ended in a
    footnote, which may go on under this page's rule.
    """
    taken: list[Line] = []
    for flow in flows:
        at = _first(page, flow, body, going_on or bool(taken))
        if at is not None:
            notes = [line for line in flow.lines[at:] if not _DRAWN_RULE.fullmatch(line.text)]
            taken += notes
            flow.lines = flow.lines[:at]
    return taken


def _first(page: Page, flow: Flow, body: float, going_on: bool) -> int | None:
    """The number of the line at which the flow's footnotes start."""
    lines = flow.lines
    low = [at for at, line in enumerate(lines) if line.base > LOWER * page.height]
    for at in low:
        if _DRAWN_RULE.fullmatch(lines[at].text) and at + 1 < len(lines):
            at_margin = abs(lines[at].left - flow.left) < 2 * lines[at].size
            if at_margin and _is_note(lines[at + 1], body, going_on):
                return at
        elif _rule_above(page, flow, at) and _is_note(lines[at], body, going_on):
            return at
    # No rule: below lines of the body's size all that is left of the page is small, and starts with a mark.
    small = len(lines)
    while small and lines[small - 1].size < SMALLER * body:
        small -= 1
    if small:
        return next((at for at in low if at >= small and mark_of(lines[at].text)), None)
    return None


def _is_note(line: Line, body: float, going_on: bool) -> bool:
    """Whether a line under a rule starts a footnote, or goes on with one from the page before."""
    return mark_of(line.text) is not None or (going_on and line.size < SMALLER * body)


def _rule_above(page: Page, flow: Flow, at: int) -> bool:
    """Whether a short rule from the left margin stands between this line and the one above it."""
    line = flow.lines[at]
    ceiling = flow.lines[at - 1].base if at else 0.0
    longest = LONGEST_RULE * (flow.right - flow.left)
    return any(
        ceiling + 1 < base < line.base - line.size / 2
        and abs(left - flow.left) < 2 * line.size
        and right - left < longest
        and not (at and _underlines(left, right, base, flow.lines[at - 1]))
        for left, right, base in page.rules
    )


def _underlines(left: float, right: float, base: float, line: Line) -> bool:
    return base - line.base < line.size / 2 and left < line.right and right > line.left


def split_notes(lines: Sequence[Line], last: int | None) -> tuple[list[Line], list[list[Line]], int | None]:
    """A page's footnote lines: those that go on with the page before's last note, each note's own, and the
    number of the last one.

    A line that starts with a number is a note's first when that is the number after `last`, or 1: a year or a
    volume may stand at the start of a line too.
    """
    before: list[Line] = []
    notes: list[list[Line]] = []
    for line in lines:
        mark = mark_of(line.text)
        if mark is None:
            starts = False
        elif not mark.isdigit():
            starts = True
        else:
            starts = int(mark) in ((last or 0) + 1, 1) or not (notes or before or last)
            starts = starts and not (notes and _is_behind(line, notes[-1]))
            last = int(mark) if starts else last
        if starts:
            notes.append([line])
        else:
            (notes[-1] if notes else before).append(line)
    return before, notes, last


def _is_behind(line: Line, note: Sequence[Line]) -> bool:
    """Whether `line` stands further left than the note above it began: then its number is in the sentence."""
    return len(note) > 1 and line.left < note[0].left - line.size / 2 and line.text[0] not in "⁰¹²³⁴⁵⁶⁷⁸⁹"


def with_mark_apart(text: str) -> str:
    """A footnote's text with a plain mark, and one space behind it."""
    found = _MARK.match(text)
    if found is None:
        return text
    return f"{found[1].translate(_SUPERSCRIPT)} {text[found.end() :]}"
