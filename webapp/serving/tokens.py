"""An example as the model sees it: the chat template applied, special tokens visible, the loss marked."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from webapp.serving.engine import engine

_SPECIAL = re.compile(r"<[^<>\s]+>")


@dataclass(frozen=True)
class Token:
    """`text` is readable; `counts` says that the loss looks at how well the model foresees it."""

    text: str
    special: bool
    counts: bool


async def tokens_of(
    context: Sequence[Mapping[str, str]], prompt: str, completion: str
) -> tuple[list[Token], int]:
    """The example's tokens and how many of them count: those of the answer up to the one that ends it, as
    the trainer labels them (`workers.engine.examples`). Raises AppError while the engine is away.
    """
    question = [*context, {"role": "user", "content": prompt}]
    answered = [*question, {"role": "assistant", "content": completion}]
    asked = await engine().tokens(question, add_generation_prompt=True)
    whole = await engine().tokens(answered, add_generation_prompt=False)
    first = next((at for at, pair in enumerate(zip(asked, whole, strict=False)) if pair[0] != pair[1]), None)
    begins = min(len(asked), len(whole)) if first is None else first
    special = [bool(_SPECIAL.fullmatch(string)) for string in whole]
    ends = max((at + 1 for at in range(begins, len(whole)) if special[at]), default=len(whole))
    tokens = [
        Token(readable(string), special[at], begins <= at < ends) for at, string in enumerate(whole[:ends])
    ]
    return tokens, ends - begins


def readable(string: str) -> str:
    """A token of a vocabulary as text: byte-level ones (GPT-2) are decoded, SentencePiece's blank is one."""
    if "\u2581" in string:
        return string.replace("\u2581", " ")
    table = _bytes_of_characters()
    if any(character not in table for character in string):
        return string
    return bytes(table[character] for character in string).decode("utf-8", errors="replace")


@functools.cache
def _bytes_of_characters() -> dict[str, int]:
    """Which byte each character of a byte-level vocabulary stands for (Radford et al. 2019): printable
    Latin-1 for itself, the rest for characters from U+0100 on."""
    printable = [
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    ]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + at): byte for at, byte in enumerate(others)}
