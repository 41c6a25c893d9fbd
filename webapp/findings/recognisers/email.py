"""E-mail addresses, in the form that people write them (RFC 5321's limits of 64 and 63 characters)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from webapp.findings.models import FindingKind
from webapp.findings.recognisers.found import Found

_ADDRESS = re.compile(
    r"(?<![\w.%+'-])\w[\w.%+'-]{0,63}+@(?>[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,6}[^\W\d_]{2,24}(?![\w-])"
)


def find(text: str) -> Iterator[Found]:
    if "@" not in text:
        return
    for match in _ADDRESS.finditer(text):
        yield Found(FindingKind.EMAIL, *match.span())
