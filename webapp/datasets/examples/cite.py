"""Pairs that teach a citation form: the passage with neutral citations, and as the firm printed it."""

from __future__ import annotations

from webapp.citations import to_neutral_form
from webapp.datasets.chunks import Passage
from webapp.datasets.examples.draft import ExampleDraft

KIND = "cite"
INSTRUCTION = "Put the citations of this passage into our house style."


def draft(passage: Passage, before: Passage | None) -> ExampleDraft | None:
    """A pair from `passage`, or None when it cites nothing that a house could print its own way."""
    neutral = to_neutral_form(passage.text)
    if neutral == passage.text:
        return None
    return ExampleDraft(KIND, prompt=f"{INSTRUCTION}\n\n{neutral}", completion=passage.text)
