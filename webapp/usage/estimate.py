"""How many tokens a request can use, reckoned where there is no tokenizer: rather too many than too few."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

# English prose has more than four characters a token in vocabularies like the base's; citations fewer.
CHARACTERS_PER_TOKEN = 3
PER_MESSAGE = 8  # what a chat template puts around one
OVERHEAD = 32  # its own system prompt and the start of the answer


def text_tokens(text: str) -> int:
    """Of ASCII a third of the characters, but each digit is a token of its own, and so may be each byte of
    what is not ASCII."""
    size, digits = len(text), sum(map(text.count, "0123456789"))
    foreign = 0 if text.isascii() else len(text.encode("utf-8", "surrogatepass")) - _ascii(text)
    plain = (size if text.isascii() else _ascii(text)) - digits
    return math.ceil(plain / CHARACTERS_PER_TOKEN) + digits + foreign


def prompt_tokens(body: Mapping[str, Any]) -> int:
    """Of a request's messages or prompts (a text, token ids, or a list of either)."""
    if messages := body.get("messages"):
        return OVERHEAD + sum(PER_MESSAGE + text_tokens(str(message["content"])) for message in messages)
    prompt = body.get("prompt", "")
    if isinstance(prompt, str):
        return OVERHEAD + text_tokens(prompt)
    if prompt and isinstance(prompt[0], int):
        return OVERHEAD + len(prompt)
    return sum(prompt_tokens({"prompt": one}) for one in prompt)


def _ascii(text: str) -> int:
    return len(text.encode("ascii", "ignore"))
