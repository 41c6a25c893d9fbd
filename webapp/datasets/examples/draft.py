"""Pairs that teach to draft: what paper and section it is and the points to make, then the section."""

from __future__ import annotations

import re

from webapp.datasets.chunks import Passage
from webapp.datasets.examples.document_type import About, with_article
from webapp.datasets.examples.new_example import NewExample
from webapp.datasets.examples.notes import points
from webapp.documents.layout import BlockKind

KIND = "draft"
SHARE = 1
MIN_WORDS = 40  # a shorter passage says little more than its points
# Of the completion's runs of three words, this share at most may stand in the prompt: a model that finds its
# answer there learns to copy, not to draft.
OVERLAP = 0.3
_RUN = 3


def make(passage: Passage, before: Passage | None, about: About) -> NewExample | None:
    """A pair from the points of `passage`, or None where it stands under no heading or is no plain text.

    Nor from a passage with a block quote or a heading within: an outline can't tell what those say.
    """
    if not passage.path or passage.words < MIN_WORDS:
        return None
    if any(part.kind in (BlockKind.QUOTE, BlockKind.HEADING) for part in passage.parts):
        return None
    outline = [point for part in passage.parts for point in points(part)]
    section = f"section “{' '.join(passage.path[-1].split())}” of {with_article(about.type)}"
    part = "" if passage.headings else "next part of the "
    asked = f"Draft the {part}{section} in our house style from these points:"
    prompt = "\n".join([asked, *(f"- {point}" for point in outline)])
    if not outline or overlap(prompt, passage.body) > OVERLAP:
        return None
    return NewExample(KIND, prompt=prompt, completion=passage.body)


def overlap(prompt: str, completion: str) -> float:
    """The share, 0 to 1, of the runs of three words of `completion` that stand in `prompt`."""
    given, said = set(_runs(prompt)), _runs(completion)
    return sum(run in given for run in said) / max(1, len(said))


def _runs(text: str) -> list[tuple[str, ...]]:
    words = re.findall(r"\w+", text.casefold())
    return [tuple(words[at : at + _RUN]) for at in range(len(words) - _RUN + 1)]
