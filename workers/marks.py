"""Chat marks: the special tokens of a chat template, told apart from text that only looks like them.

A tokenizer reads `<|im_end|>` as the end of a turn wherever it is written, also where somebody wrote it
into a message: whoever writes a message could forge the turns of others. So messages go into the template
with a break in all that looks like a mark; what the template then writes without one is its own, and is
translated to names that a tokenizer of our own knows. For that one, marks in messages are text.
"""

from __future__ import annotations

import functools
import json
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tokenizers import Tokenizer

_BREAKS = range(0x100000, 0x10FFFE)  # the character of a break is one of these that no message has
# Begins the names of marks; nobody who writes a message can guess it, and nothing tells it.
_SECRET = "\U000f0000" + secrets.token_hex(16)


@dataclass(frozen=True)
class Broken:
    """Messages whose text forms no mark, each broken by this character where it might."""

    messages: list[dict[str, str]]
    at: str


class Marks:
    """The marks of one tokenizer and template.

    They are the tokenizer's special tokens, and other added ones that the template writes. The latter are
    left as they are in an answer's text, where templates look for them (`</think>`). Marks that are no tokens
    of their own (`### Instruction:`) can't be told apart from text by any tokenizer.
    """

    def __init__(self, tokenizer: str, template: str) -> None:
        """From the text of a `tokenizer.json` and that of a chat template."""
        tokens = json.loads(tokenizer)["added_tokens"]
        added = [token for token in tokens if len(token["content"].strip()) > 1]
        special = {str(token["content"]) for token in added if token["special"]}
        written = {str(token["content"]) for token in added if token["content"] in template}
        self._names = {mark: _name(number) for number, mark in enumerate(sorted(special | written))}
        self._written = _any_of(self._names)
        self._in_answers = _Breaker(special)
        self._elsewhere = _Breaker(self._names)
        self._tokenizer = _renamed(tokenizer, tuple(self._names.items()))

    def break_up(self, messages: Sequence[Mapping[str, str]]) -> Broken:
        """The messages as the template may have them. Raises ValueError for text that nothing can be told
        apart from: it has every character that Unicode keeps for private use."""
        at = _unused(message["content"] for message in messages)
        return Broken([self._broken(message, at) for message in messages], at)

    def encode(self, rendered: str, at: str) -> list[int]:
        """The tokens of what the template made of messages that are broken at `at`, or of a part of it that
        begins and ends at no part of a mark; nothing is put before or behind them."""
        return list(self._tokenizer.encode(self._named(rendered, at), add_special_tokens=False).ids)

    def encode_batch(self, rendered: Iterable[tuple[str, str]]) -> list[list[int]]:
        """As `encode`, for pairs of its arguments."""
        texts = [self._named(text, at) for text, at in rendered]
        found = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [list(encoding.ids) for encoding in found]

    def _named(self, rendered: str, at: str) -> str:
        """With the template's marks under their other names, and the breaks gone."""
        if self._written is not None:
            rendered = self._written.sub(lambda found: self._names[found[0]], rendered)
        return rendered.replace(at, "")

    def _broken(self, message: Mapping[str, str], at: str) -> dict[str, str]:
        breaker = self._in_answers if message["role"] == "assistant" else self._elsewhere
        return {**message, "content": breaker.break_up(message["content"], at)}


class _Breaker:
    """Breaks whatever is one of some strings, or may become one together with what stands beside it."""

    def __init__(self, marks: Iterable[str]) -> None:
        self._marks = tuple(marks)
        self._any = _any_of(self._marks)

    def break_up(self, text: str, at: str) -> str:
        # Blanks around stay outermost: templates trim them.
        core = text.strip()
        before, _, behind = text.partition(core) if core else (text, "", "")
        broken = self._broken_inside(core, at)
        if any(_ends_inside(core, mark) for mark in self._marks):
            broken = at + broken
        if any(_begins_inside(core, mark) for mark in self._marks):
            broken += at
        return before + broken + behind

    def _broken_inside(self, text: str, at: str) -> str:
        """With a break behind the first character of every mark, also of those that overlap."""
        if self._any is None:
            return text
        parts, done = [], 0
        while found := self._any.search(text, done):
            parts.append(text[done : found.start() + 1])
            done = found.start() + 1
        return at.join([*parts, text[done:]])


def _ends_inside(text: str, mark: str) -> bool:
    """Whether a mark that began before the text could end in it or behind it."""
    return bool(text) and (
        text in mark[1:] or any(text.startswith(mark[cut:]) for cut in range(1, len(mark)))
    )


def _begins_inside(text: str, mark: str) -> bool:
    """Whether a mark that begins in the text could end behind it."""
    return any(text.endswith(mark[:cut]) for cut in range(1, len(mark)))


def _any_of(strings: Iterable[str]) -> re.Pattern[str] | None:
    """The longest first, as tokenizers match."""
    longest = sorted(strings, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest))) if longest else None


def _name(number: int) -> str:
    return f"{_SECRET}-{number};"


def _unused(texts: Iterable[str]) -> str:
    """Raises ValueError for messages that have them all."""
    used = set().union(*texts)  # their characters
    for character in map(chr, _BREAKS):
        if character not in used:
            return character
    raise ValueError("No character is left to break marks with.")


@functools.lru_cache(maxsize=4)
def _renamed(tokenizer: str, names: tuple[tuple[str, str], ...]) -> Tokenizer:
    """The tokenizer with other names for some tokens, whose numbers stay."""
    values = json.loads(tokenizer)
    new = dict(names)
    for token in values["added_tokens"]:
        token["content"] = new.get(token["content"], token["content"])
    model = values["model"]
    vocabulary = model["vocab"]
    if isinstance(vocabulary, dict):
        model["vocab"] = {new.get(token, token): number for token, number in vocabulary.items()}
    else:  # Unigram: [token, score] in the order of their numbers
        model["vocab"] = [[new.get(token, token), score] for token, score in vocabulary]
    if isinstance(model.get("unk_token"), str):
        model["unk_token"] = new.get(model["unk_token"], model["unk_token"])
    values["post_processor"] = None  # only adds what is not asked for
    return Tokenizer.from_str(json.dumps(values))
