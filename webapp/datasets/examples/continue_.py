"""Pairs that teach how the firm writes on: the passage so far and the next heading, then its own words."""

from __future__ import annotations

from webapp.datasets.chunks import Passage
from webapp.datasets.examples.draft import ExampleDraft

KIND = "continue"
INSTRUCTION = "Continue this passage in our house style."


def draft(passage: Passage, before: Passage | None) -> ExampleDraft | None:
    """A pair from `before` to `passage`, or None where a document begins."""
    if before is None or not passage.body:
        return None
    prompt = "\n\n".join(filter(None, (INSTRUCTION, before.text, passage.heading)))
    return ExampleDraft(KIND, prompt=prompt, completion=passage.body)
