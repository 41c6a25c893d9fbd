"""How near an answer comes to what the house wrote, in words: so one sees the style arrive."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher

# Below this share of common words an answer says something else: marks on its words would tell nothing.
ENOUGH_ALIKE = 0.5
# An answer is cut when it is long: it is held against as many of the house's words, and these at least.
LEAST_WORDS = 20
_PIECES = re.compile(r"\s*\S+|\s+$")


@dataclass(frozen=True)
class Compared:
    """`share`, 0 to 1, of the words that both have in the same order; `pieces` put together are the answer,
    each with whether the house wrote it otherwise."""

    share: float
    pieces: list[tuple[str, bool]]


def compare(expected: str, text: str) -> Compared:
    """`text` beside what the house wrote. Words are what stands between spaces; spaces don't count."""
    ours = _PIECES.findall(text)
    words = [piece.strip() for piece in ours]
    theirs = expected.split()[: max(len(words), LEAST_WORDS)]
    if 0 < len(words) <= len(theirs) and words[-1] and theirs[len(words) - 1].startswith(words[-1]):
        words[-1] = theirs[len(words) - 1]  # cut in the middle of a word
    matcher = SequenceMatcher(None, theirs, words, autojunk=False)
    share = matcher.ratio()
    if share < ENOUGH_ALIKE:
        return Compared(share, [(text, False)] if text else [])
    pieces: list[tuple[str, bool]] = []
    for verb, _, _, first, last in matcher.get_opcodes():
        if first < last:
            pieces.append(("".join(ours[first:last]), verb != "equal"))
    return Compared(share, pieces)
