"""What a reading child writes on its standard output: one JSON object, then the bytes of files, uncoded."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import IO, Any

_LENGTH = struct.Struct(">Q")


def write(out: IO[bytes], said: dict[str, Any], files: Sequence[bytes] = ()) -> None:
    """`said` and `files`, each after its length."""
    for part in (json.dumps(said).encode(), *files):
        out.write(_LENGTH.pack(len(part)))
        out.write(part)


def read(answer: bytes | bytearray) -> tuple[dict[str, Any], list[bytes]]:
    """What `write` wrote. Raises ValueError when it was cut short."""
    parts: list[bytes] = []
    at, view = 0, memoryview(answer)
    while at < len(view):
        if at + _LENGTH.size > len(view):
            raise ValueError("cut short")
        (size,) = _LENGTH.unpack_from(view, at)
        at += _LENGTH.size
        if at + size > len(view):
            raise ValueError("cut short")
        parts.append(bytes(view[at : at + size]))
        at += size
    if not parts:
        raise ValueError("empty")
    return json.loads(parts[0]), parts[1:]
