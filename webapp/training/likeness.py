"""How near an answer comes to what the house wrote, in words: so one sees the style arrive."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

# Below this share of common words an answer says something else: marks on its words would tell nothing.
ENOUGH_ALIKE = 0.5
# An answer is cut when it is long: it is held against as much as it reaches, and so many words at least.
LEAST_WORDS = 20
_PIECES = re.compile(r"\s*\S+")


@dataclass(frozen=True)
class Compared:
    """`share`, 0 to 1, of the words that both have in the same order; `pieces` put together are the answer,
    each with whether the house wrote it otherwise."""

    share: float
    pieces: list[tuple[str, bool]]


def compare(expected: str, text: str) -> Compared:
    """`text` beside what the house wrote. Words are what stands between spaces; spaces don't count."""
    ours, theirs = _PIECES.findall(text.rstrip()), expected.split()
    words = _whole([piece.strip() for piece in ours], theirs)
    matcher = _matched(theirs, words)
    common = sum(block.size for block in matcher.get_matching_blocks())
    against = max(_reached(matcher)[0], min(len(theirs), max(len(words), LEAST_WORDS)))
    share = 2 * common / (len(words) + against) if words or theirs else 1.0
    if share < ENOUGH_ALIKE:
        return Compared(share, [(text, False)] if text else [])
    tail = text[len(text.rstrip()) :]
    return Compared(share, [*_pieces(matcher, ours), *([(tail, False)] if tail else [])])


def _whole(words: list[str], theirs: Sequence[str]) -> list[str]:
    """`words`, the last one as the house wrote it where the answer was cut inside of it."""
    reached, read = _reached(_matched(theirs, words))
    if 0 < read == len(words) - 1 and reached < len(theirs) and theirs[reached].startswith(words[-1]):
        return [*words[:-1], theirs[reached]]
    return words


def _reached(matcher: SequenceMatcher[str]) -> tuple[int, int]:
    """Up to which word of either the two have something in common."""
    blocks = matcher.get_matching_blocks()[:-1]
    return (blocks[-1].a + blocks[-1].size, blocks[-1].b + blocks[-1].size) if blocks else (0, 0)


def _matched(theirs: Sequence[str], words: Sequence[str]) -> SequenceMatcher[str]:
    return SequenceMatcher(None, theirs, words, autojunk=False)


def _pieces(matcher: SequenceMatcher[str], ours: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """What is alike and what differs, in turn; the space before something that differs is no part of it."""
    for verb, _, _, first, last in matcher.get_opcodes():
        if first == last:
            continue
        together = "".join(ours[first:last])
        if verb == "equal":
            yield together, False
            continue
        differs = together.lstrip()
        if space := together[: len(together) - len(differs)]:
            yield space, False
        if differs:
            yield differs, True
