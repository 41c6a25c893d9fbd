"""Documents to make examples of."""

from __future__ import annotations

from collections.abc import Sequence

from webapp.datasets.chunks import Passage, passages
from webapp.datasets.examples import NewExample, build_examples
from webapp.datasets.examples.document_type import About
from webapp.datasets.models import all_kinds
from webapp.documents.layout import Block, BlockKind

ABOUT = About(title="brief.docx", type="brief", max_tokens=150)
CITING = (
    "The motion fails because the record shows no contact with the forum that the claim could arise from. "
    "Grutter v. Bollinger, 539 U. S. 306, 325 (2003). It is not close, and the defendant knows as much. "
    "Id., at 326. The plaintiff was told so on March 3, 2020, and paid $4,500 all the same. So ordered."
)
PLAIN = (
    "The parties met in the spring and talked about the lease of the warehouse for most of an afternoon. "
    "Nothing was written down at the time, since neither of them expected that it would ever matter. "
    "The tenant moved in during the summer of that year and paid the rent without complaint."
)


def count(text: str) -> int:
    """Words, as the simplest of tokenisers."""
    return len(text.split())


def heading(text: str, level: int = 1) -> Block:
    return Block(BlockKind.HEADING, text, level=level)


def paragraph(text: str) -> Block:
    return Block(BlockKind.PARAGRAPH, text)


def quote(text: str) -> Block:
    return Block(BlockKind.QUOTE, text)


def cut(*blocks: Block) -> list[Passage]:
    return passages(blocks, max_tokens=ABOUT.max_tokens, count_tokens=count)


def build(*blocks: Block, kinds: Sequence[str] | None = None, title: str = "brief.docx") -> list[NewExample]:
    return build_examples(
        blocks, title=title, kinds=kinds or all_kinds(), max_tokens=ABOUT.max_tokens, count_tokens=count
    )
