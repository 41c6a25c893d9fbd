"""Between text and tokens: the chat template, and text that grows token by token."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from workers.serving.chat import ChatEncoder
from workers.serving.chat_template import find_chat_template
from workers.serving.errors import StartError
from workers.serving.token_bytes import TokenBytes

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"  # how a decoder shows bytes that are no whole character (yet)
_MAX_HELD = 32  # tokens; no character spans as many, so what is still unfinished by then will never be


class TextModel:
    """The base model's tokenizer and chat template."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer_file = folder / "tokenizer.json"
        try:
            source = self.tokenizer_file.read_text("utf-8")
            self._tokenizer: Tokenizer = Tokenizer.from_str(source)
        except Exception:  # the tokenizers package raises bare Exception
            raise StartError(
                f"{folder} has no usable tokenizer.json: prepare the base model again."
            ) from None
        self.bytes = TokenBytes(self._tokenizer, source)
        self._chat = ChatEncoder(source, find_chat_template(folder), _special_tokens(folder))

    def encode(self, text: str) -> list[int]:
        """The tokens of a plain prompt, with whatever the tokenizer puts before and behind it."""
        return list(self._tokenizer.encode(text).ids)

    def encode_chat(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        template: str | None = None,
        add_generation_prompt: bool = True,
    ) -> list[int]:
        """The tokens of a conversation as the template renders it, up to where the next answer begins.

        `template` is an adapter's own, None for the base's. Marks of turns inside of a message are text.
        """
        return self._chat.encode(messages, template=template, add_generation_prompt=add_generation_prompt)

    def encode_examples(
        self, conversations: Sequence[Sequence[Mapping[str, str]]]
    ) -> list[tuple[list[int], list[int]]]:
        """Of each conversation, the tokens up to where the last answer begins, and those of the rest."""
        return self._chat.encode_examples(conversations)

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of each text as it stands, nothing put before or behind it."""
        found = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [list(encoding.ids) for encoding in found]

    def strings(self, tokens: Sequence[int]) -> list[str]:
        """Each token as the vocabulary writes it."""
        return [self._tokenizer.id_to_token(token) or "" for token in tokens]

    def decode(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode(tokens, skip_special_tokens=True))


class Detokenizer:
    """Text that grows token by token and never shows half a character.

    A token may hold part of a character's bytes, and its text may depend on the token before it. So the
    tokens since the last clean break are decoded together, and what ends unfinished waits for the next.
    """

    def __init__(self, text: TextModel) -> None:
        self._text = text
        self._window: list[int] = []
        self._context = 0  # tokens at the window's start that are already told, kept for what follows them
        self._told = ""  # the part of the window's text that was given away

    def add(self, token: int) -> str:
        """The text that this token completes; often one word, sometimes nothing."""
        self._window.append(token)
        whole = self._text.decode(self._window)
        unfinished = whole.endswith(_REPLACEMENT) and len(self._window) - self._context < _MAX_HELD
        stable = whole.rstrip(_REPLACEMENT) if unfinished else whole
        fresh = stable[len(self._told) :]
        self._told += fresh
        if not unfinished:
            self._window = self._window[self._context :]
            self._context = len(self._window)
            self._told = self._text.decode(self._window)
        return fresh


class StopStrings:
    """Cuts text before the first of several strings, also where it comes in pieces."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""
        self.met = False

    def add(self, text: str) -> str:
        """What of the text so far is surely before any stop string. Sets `met` once one is reached."""
        if not self._stops:
            return text
        self._held += text
        found = [at for at in (self._held.find(stop) for stop in self._stops) if at >= 0]
        if found:
            self.met = True
            sure = min(found)
        else:
            sure = len(self._held) - self._possible_start()
        told, self._held = self._held[:sure], self._held[sure:]
        return told

    def rest(self) -> str:
        """What was held back, once nothing more will come."""
        rest, self._held = "" if self.met else self._held, ""
        return rest

    def _possible_start(self) -> int:
        """How many characters at the end may be the beginning of a stop string."""
        longest = min(len(self._held), max(len(stop) for stop in self._stops) - 1)
        for size in range(longest, 0, -1):
            if any(stop.startswith(self._held[-size:]) for stop in self._stops):
                return size
        return 0


def _special_tokens(folder: Path) -> dict[str, str]:
    """The names by which templates may call special tokens."""
    settings = folder / "tokenizer_config.json"
    values: dict[str, Any] = json.loads(settings.read_text("utf-8")) if settings.exists() else {}
    return {
        name: token["content"] if isinstance(token, dict) else token
        for name, token in values.items()
        if name in ("bos_token", "eos_token", "pad_token", "unk_token") and token is not None
    }
