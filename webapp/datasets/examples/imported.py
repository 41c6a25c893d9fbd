"""Ready-made pairs and chats, as they are."""

from __future__ import annotations

from collections.abc import Iterable

from webapp.datasets.examples.new_example import NewExample
from webapp.documents.pairs import Pair

PAIR = "pair"
CHAT = "chat"


def from_pairs(pairs: Iterable[Pair]) -> list[NewExample]:
    """The examples of `pairs`, in their order and to the letter, without those that ask or answer nothing.

    A pair with something said before it is a chat. One that comes from an exported dataset keeps its kind.
    """
    return [
        NewExample(
            kind=pair.kind or (CHAT if pair.context else PAIR),
            prompt=pair.prompt,
            completion=pair.completion,
            context=tuple(dict(message) for message in pair.context),
            source=pair.source,
        )
        for pair in pairs
        if pair.prompt.strip() and pair.completion.strip()
    ]
