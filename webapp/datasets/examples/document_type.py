"""What kind of paper a document is, told from its title and its first lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from webapp.documents.layout import Block, BlockKind


@dataclass(frozen=True)
class About:
    """What the makers of examples know of the document that a passage is from."""

    title: str
    type: str  # see `document_type`
    max_tokens: int


UNKNOWN = "document"
_FIRST = 10  # blocks
_LINE_WORDS = 40  # longer ones are text, which may speak of any paper
# Of two in one line the earlier names the paper: a brief in support of a motion, an opinion and order.
_TYPES = {
    "brief": r"(?:amicus )?briefs?",
    "memorandum": r"memorand(?:um|a)(?! opinion)|memo",
    "opinion": r"(?:memorandum )?opinions?|per curiam|dissenting|concurring",
    "order": r"order",
    "motion": r"motion|petition",
    "complaint": r"complaint|indictment",
    "answer": r"answer and|answer to|reply to",
    "letter": r"letter",
    "advice": r"advice|advisory",
    "note": r"notes?",
    "agreement": r"agreement|contract|lease|deed|settlement|terms and conditions|terms of service",
    "declaration": r"declaration|affidavit",
    "will": r"last will|testament",
    "policy": r"policy|guidelines?",
    "report": r"report",
}
_TYPE = re.compile(
    r"\b(?:" + "|".join(f"(?P<{name}>{words})" for name, words in _TYPES.items()) + r")\b", re.IGNORECASE
)
_SALUTATION = re.compile(r"dear\s+\S", re.IGNORECASE)


def document_type(title: str, blocks: Sequence[Block]) -> str:
    """One of `_TYPES` or "document", in lower case: a word that stands after "a" or "an".

    A salutation makes a letter. Else the first heading that names a paper says it, then `title` (a file's
    name, its words apart by blanks, hyphens or underscores), then the first short line that does.
    """
    first = blocks[:_FIRST]
    if any(_SALUTATION.match(block.text) for block in first):
        return "letter"
    for line in _lines(title, first):
        if found := _TYPE.search(line):
            return found.lastgroup or UNKNOWN
    return UNKNOWN


def _lines(title: str, blocks: Sequence[Block]) -> Iterator[str]:
    short = [block for block in blocks if len(block.text.split()) <= _LINE_WORDS]
    yield from (block.text for block in short if block.kind == BlockKind.HEADING)
    yield re.sub(r"[\W_]+", " ", title)
    yield from (block.text for block in short if block.kind != BlockKind.HEADING)


def with_article(type: str) -> str:
    """`a brief`, `an opinion`"""
    return f"{'an' if type[0] in 'aeiou' else 'a'} {type}"
