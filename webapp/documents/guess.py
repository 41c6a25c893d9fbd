"""Which columns of a spreadsheet are probably a pair's. A person has the last word."""

from __future__ import annotations

import re
from collections.abc import Sequence

_ASKED = ("prompt", "question", "asked", "ask", "instruction", "input", "request", "query", "facts", "source")
_ANSWERED = (
    "completion", "answer", "response", "output", "reply", "house", "target", "final", "result"
)  # fmt: skip


def guess_columns(columns: Sequence[str]) -> tuple[str, str]:
    """The column that is asked and the one that answers: by their names, else the first and the second."""
    asked = _first(columns, _ASKED)
    answered = _first([column for column in columns if column != asked], _ANSWERED)
    rest = [column for column in columns if column not in (asked, answered)]
    if asked is None:
        asked = rest.pop(0) if rest else columns[0]
    if answered is None:
        answered = rest.pop(0) if rest else columns[-1]
    return asked, answered


def _first(columns: Sequence[str], words: Sequence[str]) -> str | None:
    """The column that says one of `words`; an earlier word counts for more."""
    for word in words:
        for column in columns:
            if word in re.findall(r"[a-z]+", column.casefold()):
                return column
    return None
