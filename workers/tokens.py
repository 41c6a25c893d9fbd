"""How long texts and examples are in the base model's tokens, without loading the model or torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from workers.serving.config import LlamaConfig
from workers.serving.text import TextModel

BATCH = 200  # chats tokenised at a time


class Chat(Protocol):
    """What is asked, after what was said before, and how the house answers."""

    @property
    def prompt(self) -> str: ...
    @property
    def completion(self) -> str: ...
    @property
    def context(self) -> Sequence[Mapping[str, str]]: ...


class TokenCounter:
    """Counts as the trainer tokenises (`workers.engine.examples.encode_one`)."""

    def __init__(self, folder: Path) -> None:
        """`folder` holds a prepared base model. Raises StartError, EngineError where it is unusable."""
        self._text = TextModel(folder)
        self._stops = LlamaConfig.read(folder).stop_tokens

    def count(self, text: str) -> int:
        """The tokens of a text by itself."""
        return len(self._text.encode_batch([text])[0])

    def lengths(self, chats: Sequence[Chat]) -> list[tuple[int, int]]:
        """For each, the tokens of its prompt in the chat template, and those that count in the loss.

        Raises EngineError for messages that the template refuses.
        """
        return [
            found for at in range(0, len(chats), BATCH) for found in self._lengths(chats[at : at + BATCH])
        ]

    def _lengths(self, chats: Sequence[Chat]) -> list[tuple[int, int]]:
        conversations = [
            [
                *chat.context,
                {"role": "user", "content": chat.prompt},
                {"role": "assistant", "content": chat.completion},
            ]
            for chat in chats
        ]
        return [
            (len(asked), self._until_stop(answer))
            for asked, answer in self._text.encode_examples(conversations)
        ]

    def _until_stop(self, tokens: Sequence[int]) -> int:
        """How many come up to and with the last token that ends an answer; one is added where none does."""
        last = max((place for place, token in enumerate(tokens) if token in self._stops), default=None)
        if last is None:
            return len(tokens) + bool(self._stops)
        return last + 1
