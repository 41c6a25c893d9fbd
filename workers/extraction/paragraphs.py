"""Lines to paragraphs: where one ends, by what a reader sees, and how one goes on over a column or a page."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Sequence

from workers.extraction.kinds import Paragraph, enumerator, is_centred, is_even, is_numbered
from workers.extraction.lines import COVERED, UNCOVERED, Flow, Line

SINGLE = 1.2  # times the type's size: the distance of lines where too few stand to tell
GAP = 1.3  # times the distance between the lines beside it
INDENT = 0.7  # times the type's size
SHORT = 0.75  # of the measure, where lines end as they come
SHORT_JUSTIFIED = 0.97
HALF = 0.6
MOST_CENTRED = 12  # lines: a title has fewer
SPACED = 1.7  # times the type's size: names of a title page that stand so far apart are not one line
RESIZED = 0.12  # of the type's size
SIGNS = COVERED + UNCOVERED
_ENDS = re.compile(r"[.?!:;][\"”’')\]⁰¹²³⁴⁵⁶⁷⁸⁹" + SIGNS + r"]*$")


def paragraphs_of(flows: Sequence[Flow]) -> list[Paragraph]:
    """The paragraphs of a document's flows, in the order of reading."""
    found: list[Paragraph] = []
    indents = _uses_indents(flows)
    usual = _usual_step(flows)
    for flow in flows:
        for at, line in enumerate(flow.lines):
            following = flow.lines[at + 1] if at + 1 < len(flow.lines) else None
            last = found[-1] if found else None
            if last is None:
                starts = True
            elif at == 0:
                starts = not _goes_on(last, line, flow, indents)
            else:
                starts = _starts(last, line, following, flow, usual)
            if starts or last is None:
                found.append(Paragraph([line], flow, is_centred(line, flow)))
            else:
                last.lines.append(line)
                last.centred = _all_centred(last, flow)
    return found


def _uses_indents(flows: Sequence[Flow]) -> bool:
    """Whether first lines stand in, so that one that doesn't goes on with the page before's paragraph."""
    indented = sum(
        line.left > flow.left + INDENT * line.size and above.left <= flow.left + INDENT * line.size / 2
        for flow in flows
        for above, line in zip(flow.lines, flow.lines[1:], strict=False)
    )
    return indented >= max(2, 0.03 * sum(len(flow.lines) for flow in flows))


def _usual_step(flows: Sequence[Flow]) -> float:
    """The greatest distance that is common between a full line and the next, in type sizes."""
    steps = Counter(
        round(line.step / line.size, 1)
        for flow in flows
        for above, line in zip(flow.lines, flow.lines[1:], strict=False)
        if line.size
        and above.right > flow.right - 2 * line.size
        and abs(above.left - line.left) < line.size / 2
    )
    common = [step for step, times in steps.items() if times >= max(2, 0.1 * sum(steps.values()))]
    if common:
        return max(common)
    rest = [line.step / line.size for flow in flows for line in flow.lines[1:] if line.size]
    return statistics.median_low(rest) if len(rest) > 2 else SINGLE


def _starts(paragraph: Paragraph, line: Line, following: Line | None, flow: Flow, usual: float) -> bool:
    """Whether `line` starts a paragraph below `paragraph`, in the same flow."""
    above = paragraph.lines[-1]
    gap = _is_gap(paragraph, line, following, usual)
    centred = is_centred(line, flow)
    if _goes_on_in_lower_case(above, line) and not (gap and paragraph.centred != centred):
        return False
    if gap:
        return not _is_unfinished(paragraph, line, following, flow)
    if abs(line.size - above.size) > RESIZED * above.size:
        return True
    if line.bold != above.bold and (paragraph.lines[0].bold or line.bold):
        return True
    if line.underlined != above.underlined and paragraph.lines[0].underlined != line.underlined:
        short = line.underlined or above.right < flow.left + 0.8 * flow.width
        if short and (centred or paragraph.centred or enumerator(line.text) is not None):
            return True
    # A number by itself is a heading of its own: "I", and below it "A".
    if (paragraph.centred or centred) and any(_is_alone(text) for text in (above.text, line.text)):
        return True
    # Lines in the middle differ in where they begin; those of a block quote don't.
    if (paragraph.centred or centred) and abs(line.left - above.left) > line.size / 2:
        return _starts_centred(paragraph, line, flow, centred)
    if above.text.isupper() and line.text.isupper() and _same_middle(above, line):
        return False
    if _second_opening(paragraph, line, following, flow):
        return True
    return (
        _moves(paragraph, line, flow)
        or _next_item(paragraph, line)
        or _was_short(paragraph, line, following, flow)
    )


def _all_centred(paragraph: Paragraph, flow: Flow) -> bool:
    """Whether a paragraph's lines stand in the middle, each for itself. The first may fill the page."""
    lines = paragraph.lines
    if len(lines) > MOST_CENTRED:
        return False
    lefts, rights = ([line.left for line in lines], [line.right for line in lines])
    block = len(lines) > 2 and max(lefts[1:]) - min(lefts[1:]) < lines[0].size / 2
    block = block or (
        max(lefts) - min(lefts) < lines[0].size / 4 and max(rights) - min(rights) > lines[0].size / 2
    )
    return (
        not block
        and all(is_even(line, flow) for line in lines)
        and any(is_centred(line, flow) for line in lines)
    )


def _is_alone(text: str) -> bool:
    return len(text) <= 4 and enumerator(text) is not None


def _starts_centred(paragraph: Paragraph, line: Line, flow: Flow, centred: bool) -> bool:
    """Whether `line` starts a paragraph where it, or the one above it, stands in the middle."""
    above = paragraph.lines[-1]
    same = above.text.isupper() == line.text.isupper() and above.bold == line.bold
    if paragraph.centred != centred:
        return not (same and line.text.isupper() and is_even(above, flow) and is_even(line, flow))
    return line.step > SPACED * line.size and not (line.bold or line.underlined)


def _is_unfinished(paragraph: Paragraph, line: Line, following: Line | None, flow: Flow) -> bool:
    """Whether white space stands inside a sentence, as where plain text keeps the gaps between pages."""
    above = paragraph.lines[-1]
    return (
        not _ENDS.search(above.text)
        and above.words > 4
        and not (paragraph.centred or above.bold or above.underlined or above.text.isupper())
        and line.bold == above.bold
        and abs(line.left - flow.left) < line.size / 2
        and (len(paragraph.lines) == 1 or abs(above.left - flow.left) < line.size / 2)
        and not is_numbered(line.text)
        and enumerator(line.text) is None
        and not _was_short(paragraph, line, following, flow)
    )


def _same_middle(above: Line, line: Line) -> bool:
    """Whether two lines of a title are set around one middle, be it the page's or not."""
    apart = abs((above.left + above.right) - (line.left + line.right)) / 2
    return apart < line.size / 2 and abs(above.left - line.left) > line.size


def _is_gap(paragraph: Paragraph, line: Line, following: Line | None, usual: float) -> bool:
    """Whether white space stands above `line`: more than between the lines above it, or below."""
    if line.step <= 0:
        return False
    lines = paragraph.lines
    inside = next((lines[at].step for at in range(len(lines) - 1, 0, -1) if lines[at].step > 0), 0.0)
    if inside:
        return line.step > GAP * inside
    if following is not None and following.step > 0 and line.step > GAP * following.step:
        return True
    return bool(usual) and line.step > GAP * usual * line.size


def _moves(paragraph: Paragraph, line: Line, flow: Flow) -> bool:
    """Whether the left edge says that a paragraph starts: it stands in, hangs out, or comes back."""
    above, em = paragraph.lines[-1], line.size
    if line.left >= above.left + INDENT * em:
        # A hanging paragraph's second line stands in too, behind a number or a first line in the margin.
        hangs = is_numbered(above.text) or enumerator(above.text) or above.left < flow.left - INDENT * em
        return not (hangs and len(paragraph.lines) == 1)
    if line.left <= above.left - INDENT * em:
        if len(paragraph.lines) == 1:
            return is_numbered(line.text) and not is_numbered(above.text)
        return True
    return False


def _second_opening(paragraph: Paragraph, line: Line, following: Line | None, flow: Flow) -> bool:
    """Whether `line` stands in as a paragraph's first line, below a paragraph of one line that does too."""
    above = paragraph.lines[-1]
    return (
        len(paragraph.lines) == 1
        and following is not None
        and line.left > flow.left + INDENT * line.size
        and abs(line.left - above.left) < line.size / 4
        and following.left < line.left - INDENT * line.size
        and bool(_ENDS.search(above.text))
    )


_NUMBER = re.compile(r"\(?(\d{1,3}|[a-z])[.)]\s")
_BULLET = re.compile(r"[•·▪◦●○■]\s")


def _next_item(paragraph: Paragraph, line: Line) -> bool:
    """Whether `line` starts with a bullet, or with the number after the paragraph's own."""
    if _BULLET.match(line.text):
        return True
    last, now = _NUMBER.match(paragraph.lines[0].text), _NUMBER.match(line.text)
    if last is None or now is None or not re.search(r"[.;:,]\W*$|\b(?:and|or)$", paragraph.lines[-1].text):
        return False
    if last[1].isdigit() and now[1].isdigit():
        return int(now[1]) == int(last[1]) + 1
    return last[1].isalpha() and now[1].isalpha() and ord(now[1]) == ord(last[1]) + 1


def _was_short(paragraph: Paragraph, line: Line, following: Line | None, flow: Flow) -> bool:
    """Whether the next word would have fitted into the line above, so that the break was meant."""
    above = paragraph.lines[-1]
    word = line.text.split(" ", 1)[0]
    need = (len(word) + 1) * (line.right - line.left) / max(1, len(line.text))
    if flow.justified:
        return above.right + need < flow.left + SHORT_JUSTIFIED * flow.width
    # Lines that end as they come reach as far as those around them, unless all of these are short.
    beside = [*paragraph.lines[-3:], line, *([following] if following else [])]
    reach = max(other.right for other in beside) - flow.left
    width = flow.width if reach < HALF * flow.width else min(reach, flow.width)
    return above.right + need < flow.left + SHORT * width and flow.width > 10 * line.size


def _goes_on_in_lower_case(above: Line, line: Line) -> bool:
    first, last = line.text.lstrip(SIGNS)[:1], above.text.rstrip(SIGNS)[-1:]
    return first.islower() and (last == "-" or last.isalpha() or last == ",") and not is_numbered(line.text)


def _goes_on(paragraph: Paragraph, line: Line, flow: Flow, indents: bool) -> bool:
    """Whether a paragraph goes on at `line`, the first one of the next column or page."""
    above = paragraph.lines[-1]
    if (
        is_centred(line, flow)
        or paragraph.centred
        or line.bold != above.bold
        or abs(line.size - above.size) > RESIZED * above.size
        or is_numbered(line.text)
        or paragraph.flow.column != flow.column
    ):
        return False
    first = line.text.lstrip(SIGNS)[:1]
    if not _ENDS.search(above.text):
        return first.islower() or above.words > 6
    before = paragraph.flow
    full = above.right > before.left + SHORT_JUSTIFIED * before.width
    return indents and full and abs(line.left - flow.left) < INDENT * line.size / 2
