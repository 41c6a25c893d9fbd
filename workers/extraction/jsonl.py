"""Ready-made pairs and chats: one JSON object a line, or a JSON array of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from webapp.documents.pairs import Pair
from workers.extraction.result import Extracted, ExtractionRefused, Limits
from workers.extraction.txt import decode

ROLES = ("system", "user", "assistant")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # databases refuse them


class _Bad(Exception):
    """What is wrong with a line: the rest of a sentence that starts with its number."""


def read_jsonl(kind: str, data: bytes, limits: Limits) -> Extracted:
    """The pairs of a file of `{"prompt", "completion"}` or `{"messages"}` objects.

    A chat of n answers makes n pairs, each after all that was said before. What Housestyle exports is read
    back: `context`, `split`, `kind` and `document` too. Raises ExtractionRefused: bad_data (with the line),
    wrong_type, too_large.
    """
    lines = _array(data) if kind == "json" else _lines(data)
    pairs: list[Pair] = []
    size = 0
    for place, item in lines:
        try:
            made = list(_pairs(_parsed(item) if isinstance(item, str) else item))
        except _Bad as bad:
            raise ExtractionRefused("bad_data", f"{place} {bad}.") from None
        size += sum(map(_size, made))
        pairs += made
        if len(pairs) > limits.rows or size > limits.data_bytes:
            raise ExtractionRefused(
                "too_large", "This file holds more examples than one may; split it into smaller files."
            )
    if not pairs:
        raise ExtractionRefused(
            "no_text",
            "This file holds no examples; put one JSON object with a prompt and a completion a line.",
        )
    return Extracted(kind, pairs=tuple(pairs))


def _lines(data: bytes) -> Iterator[tuple[str, Any]]:
    # Only at line feeds: JSON may hold the other separators that `splitlines` knows.
    for number, line in enumerate(decode(data).split("\n"), 1):
        if line.strip():
            yield f"Line {number}", line.strip()


def _array(data: bytes) -> Iterable[tuple[str, Any]]:
    try:
        items = json.loads(decode(data))
    except (ValueError, RecursionError):
        items = None
    if not isinstance(items, list):
        raise ExtractionRefused(
            "bad_data",
            "This file is no list of examples in JSON; save one example a line as JSONL and upload that.",
        )
    return ((f"Example {number}", item) for number, item in enumerate(items, 1))


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        raise _Bad("is not valid JSON; correct it or remove it, and upload the file again") from None


def _pairs(item: Any) -> Iterator[Pair]:
    if not isinstance(item, dict):
        raise _Bad('is not a JSON object; it needs a "prompt" and a "completion", or "messages"')
    if "housestyle_dataset" in item:
        return  # what an exported file says of itself in its first line
    said = {"split": _label(item, "split", 20), "kind": _label(item, "kind", 20)}
    said["source"] = _label(item, "document", 255)
    if "messages" in item:
        yield from _chat(_messages(item["messages"], "messages"), said)
    elif "prompt" in item and "completion" in item:
        context = _messages(item.get("context") or [], "context")
        yield Pair(
            _words(item["prompt"], "prompt"), _words(item["completion"], "completion"), context, **said
        )
    else:
        raise _Bad('has neither a "prompt" with a "completion" nor "messages"; add them or remove the line')


def _chat(messages: tuple[dict[str, str], ...], said: dict[str, str]) -> Iterator[Pair]:
    answers = [at for at, message in enumerate(messages) if message["role"] == "assistant"]
    if not answers:
        raise _Bad("has a chat without an answer of the assistant; add one or remove the line")
    for at in answers:
        if at == 0 or messages[at - 1]["role"] != "user":
            raise _Bad("has an answer with no question right before it; add it or remove the line")
        asked, answered = messages[at - 1]["content"], messages[at]["content"]
        yield Pair(asked, answered, messages[: at - 1], **said)


def _messages(given: Any, name: str) -> tuple[dict[str, str], ...]:
    if not isinstance(given, list):
        raise _Bad(f'has "{name}" that are not a list; correct it or remove the line')
    messages = []
    for message in given:
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            raise _Bad(f'has a message whose "role" is not one of {", ".join(ROLES)}; correct it')
        messages.append({"role": message["role"], "content": _words(message.get("content"), "content")})
    return tuple(messages)


def _words(given: Any, name: str) -> str:
    if not isinstance(given, str) or not given.strip():
        raise _Bad(f'has no words in its "{name}"; add them or remove the line')
    return _UNSTORABLE.sub("", given)


def _label(item: dict[str, Any], name: str, longest: int) -> str:
    given = item.get(name)
    return _UNSTORABLE.sub("", given)[:longest] if isinstance(given, str) else ""


def _size(pair: Pair) -> int:
    said = sum(len(message["content"]) for message in pair.context)
    return said + len(pair.prompt) + len(pair.completion)
