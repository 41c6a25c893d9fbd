"""Lines to one text: words that a line's end broke are whole again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from workers.extraction.lines import COVERED, UNCOVERED

HYPHENATED = 0.03  # of all lines: where fewer end in a hyphen, nobody hyphenated, and each hyphen is meant

_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_BROKEN = re.compile(r"(?:^|[\W\d_])([^\W\d_]+)-$")
_HEAD = re.compile(r"[^\W\d_]+")
# Prefixes that lawyers set off with a hyphen.
_PREFIX = re.compile(
    "non|self|pre|post|anti|co|ex|cross|well|semi|quasi|mid|inter|multi|sub|re|un|two|three|four|five|six"
)
# Words that others are made of without a hyphen: with-out, some-thing, him-self.
_FIRST = re.compile(
    "with|under|over|up|in|out|some|any|every|there|where|here|how|what|more|never|for|on|to|no|be|him|her|your|"
    "our|them|my|it|day|land|house|back|down|high|long|home|law|case|fore|hand|head"
)
_LAST = re.compile(
    "self|selves|one|things?|body|ever|fore|with|upon|hood|ship|man|men|where|times|less|like|wards?|wise|able|side|"
    "work|out|in|up|over|rights?"
)


class Joiner:
    """Joins lines with what a document's other words say about its hyphens."""

    def __init__(self, paragraphs: Iterable[Sequence[str]]) -> None:
        words: set[str] = set()
        lines = broken = 0
        for paragraph in paragraphs:
            ended_in_hyphen = False
            for line in paragraph:
                found = _WORD.findall(line.casefold())
                lines += 1
                # The halves of a broken word are no words.
                words.update(found[ended_in_hyphen : len(found) - line.endswith("-")])
                ended_in_hyphen = line.endswith("-")
                broken += ended_in_hyphen
        self._words = words
        self._hyphenated = broken > max(1, HYPHENATED * lines)

    def join(self, lines: Sequence[str]) -> str:
        """One text of `lines`."""
        pieces = [lines[0]]
        for line in lines[1:]:
            above = pieces[-1]
            if above.endswith(UNCOVERED) and line.startswith(COVERED):  # one box over two lines
                above, line = above[:-1], line[1:]
            pieces[-1] = above
            if above.endswith("-"):
                if self._is_broken(above, line):
                    pieces[-1] = above[:-1]
            elif not above.endswith(("\u2014", "\u2013")) and not line.startswith("\u2014"):
                pieces.append(" ")
            pieces.append(line)
        return "".join(pieces)

    def _is_broken(self, above: str, line: str) -> bool:
        """Whether the hyphen at the end of `above` is only there because the line ended."""
        tail, head = _BROKEN.search(above), _HEAD.match(line)
        if tail is None or head is None or not line[0].islower():
            return False
        before, after = tail[1].casefold(), head[0].casefold()
        if f"{before}-{after}" in self._words:
            return False
        if before + after in self._words:
            return True
        both = (
            len(after) > 2 and after in self._words and (before in self._words or _PREFIX.fullmatch(before))
        )
        if not self._hyphenated:
            return not both
        made = _FIRST.fullmatch(before) or _LAST.fullmatch(after) or _PREFIX.fullmatch(before)
        return bool(made) or len(before) < 3 or not both
