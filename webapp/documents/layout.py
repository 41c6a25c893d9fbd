"""How a document's text is built: its blocks, and what its file marks. Kept beside the text, encrypted.

Standard library only: the reading child, which knows nothing of Django, makes these too.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

SEPARATOR = "\n\n"


class BlockKind(StrEnum):
    HEADING = "heading"
    PARAGRAPH = "paragraph"
    NUMBERED = "numbered"  # a numbered paragraph or list item, its number included
    QUOTE = "quote"  # a block quote
    FOOTNOTE = "footnote"  # stands after the body, its mark first


@dataclass(frozen=True)
class Block:
    """A paragraph, in reading order. `level` is a heading's depth from 1, else 0; `page` counts from 1."""

    kind: BlockKind
    text: str
    page: int = 1
    level: int = 0


@dataclass(frozen=True)
class Mark:
    """What only the file shows: `text[start:end]` is under a black box, inserted or hidden; or `start == end`
    and `note` holds words that are not in the text (a comment, deleted words)."""

    kind: str  # black_box, deleted, inserted, comment or hidden
    start: int
    end: int
    page: int = 1
    note: str = ""
    author: str = ""


@dataclass(frozen=True)
class Layout:
    """A document's blocks and marks. Its text is the blocks' texts, apart by blank lines."""

    blocks: tuple[Block, ...]
    marks: tuple[Mark, ...] = ()

    @property
    def text(self) -> str:
        return SEPARATOR.join(block.text for block in self.blocks)

    def starts(self) -> list[int]:
        """Where each block begins in `text`."""
        return starts(self.blocks)

    def to_json(self) -> bytes:
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Layout:
        return cls.of(json.loads(data))

    @classmethod
    def of(cls, kept: dict[str, Any]) -> Layout:
        """From what `asdict` made of it."""
        return cls(
            tuple(Block(**{**block, "kind": BlockKind(block["kind"])}) for block in kept["blocks"]),
            tuple(Mark(**mark) for mark in kept["marks"]),
        )

    @classmethod
    def of_text(cls, text: str) -> Layout:
        """A plain text's layout: every paragraph a block."""
        parts = [part for part in text.split(SEPARATOR) if part.strip()]
        return cls(tuple(Block(BlockKind.PARAGRAPH, part) for part in parts))


def starts(blocks: Sequence[Block]) -> list[int]:
    """Where each of `blocks` begins in the text that they make up."""
    places, at = [], 0
    for block in blocks:
        places.append(at)
        at += len(block.text) + len(SEPARATOR)
    return places
