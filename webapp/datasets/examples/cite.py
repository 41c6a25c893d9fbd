"""Pairs that teach a citation form: the passage with neutral citations, and as the firm printed it."""

from __future__ import annotations

from webapp.citations import NEUTRAL, Kind, restyle
from webapp.datasets.chunks import Passage
from webapp.datasets.examples.document_type import About
from webapp.datasets.examples.new_example import NewExample

KIND = "cite"
SHARE = 4
INSTRUCTION = "Put the citations of this passage into our house style."
# They stand in any prose: alone, they don't make a passage one about citations.
_BESIDE = {Kind.LATIN}


def make(passage: Passage, before: Passage | None, about: About) -> NewExample | None:
    """A pair from `passage`, or None when it cites nothing that a house could print its own way."""
    citations = passage.citations
    if not passage.read or all(citation.kind in _BESIDE for citation in citations):
        return None
    neutral = restyle(passage.body, citations, NEUTRAL)
    if neutral == passage.body:
        return None
    return NewExample(KIND, prompt=f"{INSTRUCTION}\n\n{neutral}", completion=passage.body)
