"""From a document to the pairs a model learns from. One module per kind of example.

Each passage is a completion once: the same words twice in one epoch would teach the words rather than the
style. Which kind it becomes keeps the mix from being one-sided: of the kinds that can use it, the one that
has fewest examples for its `SHARE`. Where every passage cites, two thirds become `cite`, which teaches the
most with the least, and a sixth each `draft` and `continue`; passages without citations go to these two.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from webapp.datasets.chunks import CountTokens, passages
from webapp.datasets.examples import cite, continue_, draft
from webapp.datasets.examples.document_type import About, document_type
from webapp.datasets.examples.new_example import NewExample
from webapp.datasets.paragraphs import with_headings
from webapp.documents.layout import Block

__all__ = ["BUILDER_VERSION", "NewExample", "build_examples"]

# Goes up whenever the same blocks would give other examples.
BUILDER_VERSION = 2

KINDS = {kind.KIND: kind for kind in (cite, draft, continue_)}
# A sentence or quotation of more than this many times `max_tokens` makes no example: training would cut it.
LONGEST = 3


def build_examples(
    blocks: Sequence[Block], *, title: str, kinds: Sequence[str], max_tokens: int, count_tokens: CountTokens
) -> list[NewExample]:
    """The examples of one document, in its order; none when it holds too little to learn from.

    `title` is the document's name; `max_tokens` bounds a passage (see `chunks.passages`). Of `kinds`, those
    that are made of running text are used; where two have the same claim to a passage, the earlier gets it.
    """
    blocks = with_headings(blocks)
    about = About(title, document_type(title, blocks), max_tokens)
    makers = [KINDS[kind] for kind in dict.fromkeys(kinds) if kind in KINDS]
    made: Counter[str] = Counter()
    examples: list[NewExample] = []
    before = None
    for passage in passages(blocks, max_tokens=max_tokens, count_tokens=count_tokens):
        if 0 < passage.tokens <= LONGEST * max_tokens:
            for maker in sorted(makers, key=lambda maker: made[maker.KIND] / maker.SHARE):
                example = maker.make(passage, before, about)
                if example is not None:
                    examples.append(example)
                    made[maker.KIND] += 1
                    break
        before = passage
    return examples
