"""The paragraphs of a plain text, and which of them are headings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from webapp.documents.layout import Block, BlockKind

# A heading is one short line that ends like no sentence does: "II. Analysis", "BACKGROUND".
_HEADING_WORDS = 20
_HEADINGS = 6  # in a row; more are a list
_CLOSING = "\u201d\u2019\"')]"


def paragraphs(text: str) -> list[str]:
    """The paragraphs of `text`, which blank lines separate, each on one line with single spaces."""
    return [" ".join(block.split()) for block in re.split(r"\n\s*\n", text) if block.strip()]


def is_heading(paragraph: str) -> bool:
    """Whether `paragraph` reads as a heading rather than as a sentence."""
    if len(paragraph.split()) > _HEADING_WORDS:
        return False
    return not paragraph.rstrip(_CLOSING).endswith((".", ",", ";", ":", "?", "!"))


def with_headings(blocks: Sequence[Block]) -> list[Block]:
    """`blocks`, where a plain text that knows no headings gets those that read like ones."""
    if any(block.kind == BlockKind.HEADING for block in blocks):
        return list(blocks)
    marked: list[Block] = []
    for heads, row in groupby(blocks, lambda b: b.kind == BlockKind.PARAGRAPH and is_heading(b.text)):
        run = list(row)
        if heads and len(run) <= _HEADINGS:
            run = [replace(block, kind=BlockKind.HEADING, level=1) for block in run]
        marked += run
    return marked
