"""From a document's text to the pairs a model learns from. One module per kind of example.

Each passage is a completion once, of the first kind that can use it: the same words twice in one epoch would
teach the words rather than the style.
"""

from __future__ import annotations

from webapp.datasets.chunks import passages
from webapp.datasets.examples import cite, continue_
from webapp.datasets.examples.draft import ExampleDraft

__all__ = ["ExampleDraft", "build_examples"]

KINDS = (cite, continue_)


def build_examples(text: str) -> list[ExampleDraft]:
    """The examples of one document, in its order; none when the text holds too little to learn from."""
    examples = []
    before = None
    for passage in passages(text):
        drafts = (kind.draft(passage, before) for kind in KINDS)
        example = next((draft for draft in drafts if draft is not None), None)
        if example is not None:
            examples.append(example)
        before = passage
    return examples
