"""How long sentences and paragraphs are, how they begin, and how headings and parts look."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from webapp.datasets.profile import citations
from webapp.datasets.profile.sentences import is_prose, sentences
from webapp.datasets.profile.tally import Tally
from webapp.documents.layout import BlockKind

LONGEST = 2000  # words; what is longer counts as this long
KEPT_OPENINGS = 20_000  # different ones of each kind
SHOWN_OPENINGS = 15

_HEADING = re.compile(
    r"(?:(?P<roman>[IVX]+\.)|(?P<letter>[A-Z]\.)|(?P<decimal>[0-9]+(?:\.[0-9]+)+\.?)|(?P<figure>[0-9]+\.?)"
    r"|(?P<bracket>\([A-Za-z0-9]{1,4}\))) (?=\S)"
)
_ITEM = re.compile(
    r"(?:(?P<decimal>[0-9]+(?:\.[0-9]+)+\.?)|(?P<stop>[0-9]+\.)|(?P<round>\([0-9]+\))|(?P<square>\[[0-9]+\])"
    r"|(?P<half>[0-9]+\))|(?P<pilcrow>¶ ?[0-9]+\.?)|(?P<letter>\(?[a-z]{1,4}\)|[a-z]\.)"
    r"|(?P<bullet>[•·–*-])) +"
)
_FOOTNOTE_MARK = re.compile(r"(?:[0-9]{1,3}|[*†‡]+|\[[0-9]{1,3}\])\.? +")


class Lengths:
    """How many things there were of each length, in words."""

    def __init__(self) -> None:
        self.counts: Counter[int] = Counter()

    def add(self, words: int) -> None:
        self.counts[min(words, LONGEST)] += 1

    @property
    def total(self) -> int:
        return self.counts.total()

    @property
    def mean(self) -> float:
        return sum(length * n for length, n in self.counts.items()) / self.total if self.total else 0.0

    @property
    def median(self) -> int:
        """The length of the middle one, the shorter of two in the middle; 0 of none."""
        half, seen = (self.total + 1) // 2, 0
        for length, n in sorted(self.counts.items()):
            seen += n
            if seen >= half:
                return length
        return 0


class Openings:
    """The commonest first words, in bounded memory: of more than KEPT_OPENINGS different ones the rarer half
    is forgotten, so that in very large datasets a count may be a few too low."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.total = 0

    def add(self, words: Sequence[str]) -> None:
        self.total += 1
        self.counts[" ".join(words)] += 1
        if len(self.counts) > KEPT_OPENINGS:
            self.counts = Counter(dict(self.counts.most_common(KEPT_OPENINGS // 2)))

    def commonest(self) -> list[tuple[str, int]]:
        """The openings met more than once, the commonest first."""
        ranked = sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))
        return [(opening, n) for opening, n in ranked[:SHOWN_OPENINGS] if n > 1]


class Shape:
    """Sentences, paragraphs and parts of every block so far. Examples go to the tally."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self.sentences = Lengths()
        self.paragraphs = Lengths()
        self.sentence_openings = Openings()
        self.paragraph_openings = Openings()
        self.words = 0

    def block(self, kind: BlockKind, text: str, start: int, end: int) -> None:
        """Take in the block that is `text[start:end]`."""
        line = text[start:end]
        words = line.count(" ") + 1
        self.words += words
        self._tally.add("part", kind.value, words)
        if kind is BlockKind.HEADING:
            self._heading(line, start)
            return
        skipped = 0
        if kind is BlockKind.NUMBERED and (item := _ITEM.match(line)):
            self._tally.hit("item", item.lastgroup or "", start, min(end, start + item.end() + 20))
            skipped = item.end()
        elif kind is BlockKind.FOOTNOTE and (mark := _FOOTNOTE_MARK.match(line)):
            skipped = mark.end()
        self._prose(kind, text, start + skipped, line[skipped:])

    def _prose(self, kind: BlockKind, text: str, start: int, line: str) -> None:
        own = kind in (BlockKind.PARAGRAPH, BlockKind.NUMBERED)  # quotes are others' prose
        opening: list[str] = []
        for first, last, spaces in sentences(line):
            if spaces:
                gap = (start + max(first, last - 20), start + last + spaces)
                self._tally.hit("gap", "two" if spaces > 1 else "one", *gap)
            words = line[first:last].split()
            if not words:
                continue
            if citations.opens_with_signal(words[0]) and citations.signal(text, start + first, self._tally):
                continue
            if own and line[last - 1] in ".?!:;”\"’')]" and is_prose(words):
                self.sentences.add(len(words))
                self.sentence_openings.add(words[:2])
                if not opening:
                    opening = words[:3]
        if opening:
            self.paragraphs.add(len(line.split()))
            self.paragraph_openings.add(opening)

    def _heading(self, line: str, start: int) -> None:
        number = _HEADING.match(line)
        place = (start, start + len(line))
        self._tally.hit("heading_number", (number.lastgroup or "") if number else "none", *place)
        words = [word for word in line[number.end() if number else 0 :].split() if word[:1].isalpha()]
        if not words:
            return
        if all(word.isupper() for word in words if len(word) > 2) and words[0].isupper():
            self._tally.hit("heading_case", "capitals", *place)
        elif len(words) > 1:  # one word alone with its capital may be either
            main = [word for word in words[1:] if len(word) > 3]
            capitals = sum(word[0].isupper() for word in main)
            form = "title" if main and capitals >= 0.6 * len(main) else "sentence"
            if main:
                self._tally.hit("heading_case", form, *place)
