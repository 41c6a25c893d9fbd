"""Pages to a layout: what repeats on them dropped, columns and paragraphs joined, footnotes apart."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

from webapp.documents.layout import SEPARATOR, Block, BlockKind, Layout, Mark
from workers.extraction.columns import flows_of
from workers.extraction.footnotes import split_notes, take_footnotes, with_mark_apart
from workers.extraction.heads import without_heads
from workers.extraction.joining import Joiner
from workers.extraction.kinds import Paragraph, classify
from workers.extraction.lines import COVERED, UNCOVERED, Flow, Line, Page, readable
from workers.extraction.paragraphs import paragraphs_of
from workers.extraction.rows import rows_of
from workers.extraction.stamps import (
    without_filing_stamp,
    without_glued_gutter,
    without_gutter,
    without_stamps,
)

__all__ = ["readable", "to_layout"]

_BLANK = re.compile(r"[_—–―─\-.\s]{6,}")  # a rule, or a line to sign on
COMMON = 0.15  # of a page's text: a left edge at which so much of it starts may be its margin
MUCH = 0.3  # of the letters: footnotes may have more than the text they stand under
EVEN = 0.3  # times the type's size: right edges that differ by less are one
_SIGNS = re.compile(f"([{COVERED}{UNCOVERED}])")
JUSTIFIED = 0.5  # of the lines that end at the right margin


def to_layout(pages: Sequence[Page]) -> Layout:
    """The pages' blocks: body first, then all footnotes; covered words are marked as under a black box."""
    rows = [without_filing_stamp(without_stamps(rows_of(page.lines)), page.height) for page in pages]
    rows = [without_glued_gutter(without_gutter(page)) for page in without_heads(rows)]
    by_page = [flows_of(page) for page in rows]
    body = _body_size(flow for flows in by_page for flow in flows)
    _set_margins(by_page)
    flows: list[Flow] = []
    notes: list[list[Line]] = []
    last: int | None = None
    going_on = False
    for page, found in zip(pages, by_page, strict=True):
        taken = take_footnotes(page, found, body, going_on)
        before, own, last = split_notes(taken, last)
        if before and notes:
            notes[-1] += before
        elif before:
            notes.append(before)
        notes += own
        going_on = bool(taken)
        for flow in found:
            flow.lines = [line for line in flow.lines if not _BLANK.fullmatch(line.text)]
        flows += [flow for flow in found if flow.lines]
    for flow in flows:
        _set_steps(flow.lines)
    return _to_blocks(paragraphs_of(flows), notes, body)


def _body_size(flows: Iterable[Flow]) -> float:
    """The size of the type that the text is set in: the largest of those that much of the document has."""
    sizes: Counter[float] = Counter()
    for flow in flows:
        for line in flow.lines:
            sizes[round(line.size, 1)] += len(line.text)
    much = MUCH * sum(sizes.values())
    return max((size for size, letters in sizes.items() if letters >= much), default=0.0)


def _set_margins(by_page: Sequence[Sequence[Flow]]) -> None:
    """Give each flow the margins of its page, or of the document where the page has too few lines to tell."""
    whole = [line for flows in by_page for flow in flows if not flow.column for line in flow.lines]
    usual = _left(whole)
    broad = _right(whole)
    indent = _indent([flow.lines for flows in by_page for flow in flows if not flow.column], usual)
    for flows in by_page:
        page = [line for flow in flows if not flow.column for line in flow.lines]
        left, right = usual, broad
        if page and sum(abs(line.left - usual) <= line.size / 2 for line in page) < max(
            2, COMMON * len(page)
        ):
            left = _left(page) if len(page) > 3 else left
        if len(page) > 7:
            right = _right(page)
        for flow in flows:
            flow.left, flow.right = (_left(flow.lines), _right(flow.lines)) if flow.column else (left, right)
            at_margin = sum(abs(line.right - flow.right) <= EVEN * line.size for line in flow.lines)
            flow.indent = indent
            flow.justified = len(flow.lines) > 3 and at_margin > JUSTIFIED * len(flow.lines)


def _left(lines: Sequence[Line]) -> float:
    """The outermost left edge at which much text starts."""
    edges: Counter[int] = Counter()
    for line in lines:
        edges[round(2 * line.left / line.size)] += len(line.text)
    if not edges:
        return 0.0
    much = COMMON * sum(edges.values())
    common = [at for at in edges if edges[at - 1] + edges[at] + edges[at + 1] >= much]
    edge = min(common) if common else edges.most_common(1)[0][0]
    return statistics.median(line.left for line in lines if abs(round(2 * line.left / line.size) - edge) <= 1)


def _right(lines: Sequence[Line]) -> float:
    """The right edge that one line in ten reaches."""
    ends = sorted(line.right for line in lines)
    return ends[len(ends) * 9 // 10] if ends else 0.0


def _indent(flows: Iterable[Sequence[Line]], left: float) -> float:
    """How far a paragraph's first line stands in, usually, before one at the left margin."""
    indents: Counter[int] = Counter()
    for lines in flows:
        for line, below in pairwise(lines):
            indent = (line.left - left) / line.size
            if 0.7 < indent < 7 and abs(below.left - left) < below.size / 2 and below.page == line.page:
                indents[round(2 * indent * line.size)] += 1
    if not indents:
        return 0.0
    most, times = indents.most_common(1)[0]
    return most / 2 if times > 1 else 0.0


def _set_steps(lines: Sequence[Line]) -> None:
    above: Line | None = None
    for line in lines:
        line.step = line.base - above.base if above is not None else 0.0
        above = line


def _to_blocks(paragraphs: Sequence[Paragraph], notes: Sequence[Sequence[Line]], body: float) -> Layout:
    texts = [[line.text for line in paragraph.lines] for paragraph in paragraphs]
    note_texts = [[line.text for line in note] for note in notes]
    joiner = Joiner([*texts, *note_texts])
    blocks: list[Block] = []
    for paragraph, lines in zip(paragraphs, texts, strict=True):
        paragraph.text = joiner.join(lines)
        kind, level = classify(paragraph, body)
        blocks.append(Block(kind, paragraph.text, paragraph.lines[0].page, level))
    for note, lines in zip(notes, note_texts, strict=True):
        text = with_mark_apart(joiner.join(lines))
        blocks.append(Block(BlockKind.FOOTNOTE, text, note[0].page))
    return _with_marks(blocks)


def _with_marks(blocks: Sequence[Block]) -> Layout:
    """The blocks without the signs around covered words, and a mark for each pair of signs."""
    clean: list[Block] = []
    marks: list[Mark] = []
    at = 0
    for block in blocks:
        text = block.text
        if COVERED in text or UNCOVERED in text:
            pieces: list[str] = []
            length, begin = 0, -1
            for piece in _SIGNS.split(text):
                if piece == COVERED:
                    begin = length if begin < 0 else begin
                elif piece == UNCOVERED:
                    if 0 <= begin < length:
                        marks.append(Mark("black_box", at + begin, at + length, block.page))
                    begin = -1
                else:
                    pieces.append(piece)
                    length += len(piece)
            text = "".join(pieces)
        clean.append(replace(block, text=text))
        at += len(text) + len(SEPARATOR)
    return Layout(tuple(clean), tuple(marks))
