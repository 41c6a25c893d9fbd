"""Markdown: structure as its writer marked it, and no HTML run."""

from __future__ import annotations

from tests.extraction.conftest import Read
from tests.extraction.files import BRIEF
from tests.extraction.test_word import kinds
from webapp.documents.layout import Block, BlockKind

NOTE = f"""---
title: left out
---
# Memorandum

Setext
------

{BRIEF[0]}
It goes *on* [here](https://example.com).[^1]

> Notice is due.

1. First point.
2. Second point.
   - A bullet.

| Exhibit | What |
|---|---|
| A | The lease |

<script>alert("run me")</script>

Words <b>in bold</b>.

[^1]: {BRIEF[1]}
    And more.
"""


def test_it_reads_markdown_in_blocks(read: Read) -> None:
    found = read(NOTE.encode(), "note.md")
    assert found.kind == "md"
    assert found.layout.blocks[:2] == (
        Block(BlockKind.HEADING, "Memorandum", level=1),
        Block(BlockKind.HEADING, "Setext", level=2),
    )
    assert kinds(found)[2:] == [
        ("paragraph", f"{BRIEF[0]} It goes on here.¹"),
        ("quote", "Notice is due."),
        ("numbered", "1. First point."),
        ("numbered", "2. Second point."),
        ("numbered", "• A bullet."),
        ("paragraph", "Exhibit"),
        ("paragraph", "What"),
        ("paragraph", "A"),
        ("paragraph", "The lease"),
        ("paragraph", "Words in bold."),
        ("footnote", f"1 {BRIEF[1]} And more."),
    ]
