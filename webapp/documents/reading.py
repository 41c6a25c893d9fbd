"""A document's text as a person reads it: one page at a time, however many it has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from webapp.documents import selectors
from webapp.documents.layout import Block, BlockKind
from webapp.documents.models import Document

PART_CHARACTERS = 20_000  # of a text without pages: about ten printed ones


@dataclass(frozen=True)
class Sheet:
    """What is shown of a document at a time: a page of it, or a part where its file knows no pages."""

    number: int  # from 1
    count: int
    paged: bool
    body: tuple[Block, ...]
    footnotes: tuple[Block, ...]

    @property
    def word(self) -> str:
        return "Page" if self.paged else "Part"

    @property
    def before(self) -> int | None:
        return self.number - 1 if self.number > 1 else None

    @property
    def after(self) -> int | None:
        return self.number + 1 if self.number < self.count else None


def sheet(document: Document, wanted: str | None) -> Sheet:
    """The page that a query string asks for; the nearest one when there is no such page."""
    blocks = selectors.layout(document).blocks
    # Whether the reader could tell which page a paragraph is on, not only how many there are.
    paged = any(block.page > 1 for block in blocks)
    parts = [] if paged else _parts(blocks)
    count = max(document.pages or 1, *(block.page for block in blocks)) if paged else len(parts)
    number = min(max(int(wanted), 1), max(count, 1)) if wanted and _is_number(wanted) else 1
    if paged:
        here: Sequence[Block] = [block for block in blocks if block.page == number]
    else:
        here = parts[number - 1] if parts else []
    return Sheet(
        number,
        count,
        paged,
        body=tuple(block for block in here if block.kind != BlockKind.FOOTNOTE),
        footnotes=tuple(block for block in here if block.kind == BlockKind.FOOTNOTE),
    )


def _parts(blocks: Sequence[Block]) -> list[list[Block]]:
    """Whole blocks, together as long as a part is, or longer by the last of them."""
    parts: list[list[Block]] = []
    room = 0
    for block in blocks:
        if room <= 0:
            parts.append([])
            room = PART_CHARACTERS
        parts[-1].append(block)
        room -= len(block.text)
    return parts


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10
