"""Answers in OpenAI's two shapes, whole and in pieces."""

from __future__ import annotations

import codecs
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workers.serving.logprobs import TokenLogprob
from workers.serving.sequence import Delta, FinishReason, PromptRead
from workers.serving.text import TextModel

Lists = dict[str, list[Any]]


@dataclass
class Piece:
    """More of one answer: text, lists about its tokens (None where none are wanted), why it ended."""

    text: str = ""
    logprobs: Lists | None = None
    finish_reason: FinishReason | None = None

    def extend(self, more: Piece) -> None:
        self.text += more.text
        self.finish_reason = more.finish_reason
        if self.logprobs is None:
            self.logprobs = more.logprobs
        elif more.logprobs is not None:
            for name, values in more.logprobs.items():
                self.logprobs[name] += values


class ChatChoice:
    """One answer to a conversation."""

    def __init__(self, index: int, text: TextModel, *, logprobs: bool) -> None:
        self._index, self._text, self._logprobs = index, text, logprobs

    def piece(self, event: Delta | PromptRead) -> Piece | None:
        if isinstance(event, PromptRead):
            return None
        lists = {"content": [self._token(one) for one in event.logprobs]} if self._logprobs else None
        return Piece(event.text, lists, event.finish_reason)

    def whole(self, piece: Piece) -> dict[str, Any]:
        return self._choice("message", {"role": "assistant", "content": piece.text}, piece)

    def opening(self) -> dict[str, Any] | None:
        return self._choice("delta", {"role": "assistant", "content": ""}, Piece())

    def chunk(self, piece: Piece) -> dict[str, Any]:
        return self._choice("delta", {"content": piece.text} if piece.text else {}, piece)

    def _choice(self, name: str, said: Mapping[str, str], piece: Piece) -> dict[str, Any]:
        logprobs = None if piece.logprobs is None else {**piece.logprobs, "refusal": None}
        return {
            "index": self._index,
            name: said,
            "logprobs": logprobs,
            "finish_reason": piece.finish_reason,
        }

    def _token(self, one: TokenLogprob) -> dict[str, Any]:
        likeliest = [self._named(token, logprob) for token, logprob in one.top]
        return {**self._named(one.token, one.logprob), "top_logprobs": likeliest}

    def _named(self, token: int, logprob: float | None) -> dict[str, Any]:
        said = self._text.bytes.of(token)
        return {"token": said.decode(errors="replace"), "logprob": logprob, "bytes": list(said)}


@dataclass
class TextChoice:
    """One continuation of a prompt. `echo` is the prompt's text where that comes first; `silent` where
    nothing is to follow it."""

    index: int
    text: TextModel
    logprobs: bool
    echo: str | None = None
    silent: bool = False
    _offset: int = field(default=0, init=False)  # characters of all tokens so far
    _characters: codecs.IncrementalDecoder = field(init=False)

    def __post_init__(self) -> None:
        self._characters = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._echo = self.echo or ""

    def piece(self, event: Delta | PromptRead) -> Piece | None:
        text, self._echo = self._echo, ""
        if isinstance(event, PromptRead):
            return Piece(text, self._lists(event.logprobs))
        if self.silent:
            return Piece(text, self._lists(()), "length") if event.finish_reason else None
        return Piece(text + event.text, self._lists(event.logprobs), event.finish_reason)

    def whole(self, piece: Piece) -> dict[str, Any]:
        return {
            "index": self.index,
            "text": piece.text,
            "logprobs": piece.logprobs,
            "finish_reason": piece.finish_reason,
        }

    def opening(self) -> dict[str, Any] | None:
        return None

    def chunk(self, piece: Piece) -> dict[str, Any]:
        return self.whole(piece)

    def _lists(self, tokens: Sequence[TokenLogprob]) -> Lists | None:
        if not self.logprobs:
            return None
        return {
            "text_offset": [self._begin(one.token) for one in tokens],
            "token_logprobs": [one.logprob for one in tokens],
            "tokens": [self._name(one.token) for one in tokens],
            "top_logprobs": [self._likeliest(one) for one in tokens],
        }

    def _begin(self, token: int) -> int:
        """Where the token's text begins. A character belongs to the token that ends it."""
        begin = self._offset
        self._offset += len(self._characters.decode(self.text.bytes.shown(token)))
        return begin

    def _likeliest(self, one: TokenLogprob) -> dict[str, float] | None:
        """With the token itself, as OpenAI has it; None for a prompt's first."""
        if one.logprob is None:
            return None
        return {self._name(token): logprob for token, logprob in (*one.top, (one.token, one.logprob))}

    def _name(self, token: int) -> str:
        """A token's text; one that ends inside of a character is told by its bytes, as OpenAI did."""
        said = self.text.bytes.of(token)
        try:
            return said.decode()
        except UnicodeDecodeError:
            return "bytes:" + "".join(f"\\x{byte:02x}" for byte in said)


Choice = ChatChoice | TextChoice
