"""Pairs that teach how the firm writes on: the passage so far and its heading, then the next passage."""

from __future__ import annotations

from webapp.datasets.chunks import Passage
from webapp.datasets.examples.document_type import About
from webapp.datasets.examples.new_example import NewExample

KIND = "continue"
SHARE = 1
INSTRUCTION = "Continue this passage in our house style."
MIN_WORDS = 8  # fewer are a closing line: nothing to learn how to write on from


def make(passage: Passage, before: Passage | None, about: About) -> NewExample | None:
    """A pair from `before` and the headings to the passage, or None where neither says what should follow."""
    if passage.words < MIN_WORDS:
        return None
    given = [passage.heading]
    if before is not None and before.tokens <= about.max_tokens:
        section = before.heading or (before.path[-1] if before.path else "")
        given = [section, before.body, passage.heading]
    elif not passage.heading and passage.path:
        given = [passage.path[-1]]
    if not any(given):
        return None
    return NewExample(KIND, prompt="\n\n".join([INSTRUCTION, *filter(None, given)]), completion=passage.body)
