"""What each token of a vocabulary says, byte by byte."""

from __future__ import annotations

import functools
import json
import re
from typing import Any

from tokenizers import Tokenizer

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_BLANK = "\N{LOWER ONE EIGHTH BLOCK}"  # SentencePiece's


class TokenBytes:
    """The bytes of tokens, for vocabularies of bytes (GPT-2's way) and of SentencePiece's pieces."""

    def __init__(self, tokenizer: Tokenizer, tokenizer_json: str) -> None:
        values = json.loads(tokenizer_json)
        self._added = {token["id"]: token for token in values["added_tokens"]}
        self._tokenizer = tokenizer
        self._bytewise = _mentions(values.get("decoder"), "ByteLevel")

    def of(self, token: int) -> bytes:
        """b"" for a number that is no token's."""
        if token in self._added:
            return str(self._added[token]["content"]).encode()
        piece = self._tokenizer.id_to_token(token)
        if piece is None:
            return b""
        if self._bytewise:
            table = _bytes_of_characters()
            return bytes(table[character] for character in piece if character in table)
        if found := _BYTE.fullmatch(piece):
            return bytes.fromhex(found[1])
        return piece.replace(_BLANK, " ").encode()

    def shown(self, token: int) -> bytes:
        """Those that an answer's text has: b"" for special tokens."""
        return b"" if self._added.get(token, {}).get("special") else self.of(token)


def _mentions(decoder: Any, kind: str) -> bool:
    if not isinstance(decoder, dict):
        return False
    parts = decoder.get("decoders", [])
    return decoder.get("type") == kind or any(_mentions(part, kind) for part in parts)


@functools.cache
def _bytes_of_characters() -> dict[str, int]:
    """Which byte each character of a byte-level vocabulary stands for (Radford et al. 2019): printable
    Latin-1 for itself, the rest for characters from U+0100 on."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {
        chr(256 + place): byte for place, byte in enumerate(others)
    }
