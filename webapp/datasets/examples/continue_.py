"""Pairs that teach how the firm writes on: the passage so far and the next heading, then its own words."""

from __future__ import annotations

from webapp.datasets.chunks import Passage
from webapp.datasets.examples.draft import ExampleDraft

KIND = "continue"
INSTRUCTION = "Continue this passage in our house style."


def draft(passage: Passage, before: Passage | None) -> ExampleDraft | None:
    """A pair from `before` and the heading to the passage, or None where neither says what should follow."""
    given = [text for text in (before.text if before else "", passage.heading) if text]
    if not given or not passage.body:
        return None
    return ExampleDraft(KIND, prompt="\n\n".join([INSTRUCTION, *given]), completion=passage.body)
