"""The text that a dataset learns from: without what was redacted, and without what nobody has decided on.

A value becomes the same pseudonym wherever it stands in a dataset, so that what refers to it still does.
"""

from __future__ import annotations

import re
import uuid
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from webapp.documents.layout import Block, Layout
from webapp.documents.pairs import Pair, layout_of
from webapp.findings.models import Finding, FindingKind, FindingState
from webapp.findings.normal import normal

REDACTED = "[Redacted]"
NAMES: Mapping[str, str] = {
    FindingKind.SSN: "Social Security number",
    FindingKind.PHONE: "Phone",
    FindingKind.EMAIL: "E-mail",
    FindingKind.CARD: "Card number",
    FindingKind.BANK: "Bank account",
    FindingKind.BIRTH_DATE: "Date of birth",
    FindingKind.ADDRESS: "Address",
}
# Who has not decided has not agreed.
LEFT_OUT = {FindingState.OPEN, FindingState.REDACTED}


class Pseudonyms:
    """The names that values go by in one dataset: numbered as they come, the same for the same order."""

    def __init__(self) -> None:
        self._numbers: dict[str, dict[str, int]] = {}

    def of(self, kind: str, value: str) -> str:
        """`[Phone 1]` for the first phone number, and for each other writing of it."""
        if kind not in NAMES:
            return REDACTED
        numbers = self._numbers.setdefault(kind, {})
        number = numbers.setdefault(normal(kind, value), len(numbers) + 1)
        return f"[{NAMES[kind]} {number}]"


_WORD = re.compile(r"\w+")


class _Place(NamedTuple):
    start: int
    end: int
    kind: str


@dataclass(frozen=True)
class _Stretch:
    """`text[start:end]` is to be read as `says`."""

    start: int
    end: int
    says: str


def redact(layout: Layout, findings: Iterable[Finding], pseudonyms: Pseudonyms) -> list[Block]:
    """The blocks to learn from, in order, each with the kind, page and level it had.

    What is redacted or open becomes its pseudonym, words that the file hid become “[Redacted]”, and a
    paragraph with open or redacted words of privilege is dropped, as is one of which nothing remains. What is
    accepted or ignored stays. A personal identifier also goes where else the text repeats it, except where
    somebody decided that it stays.
    """
    said = _read(layout, findings, pseudonyms)
    return [
        replace(block, text=text)
        for block, text in zip(layout.blocks, said, strict=True)
        if text is not None and text.strip()
    ]


def redact_pairs(pairs: Sequence[Pair], findings: Iterable[Finding], pseudonyms: Pseudonyms) -> list[Pair]:
    """The ready-made pairs to learn from: as `redact`, on places in their `layout_of`. A pair with open or
    redacted words of privilege is dropped, as is one that has no prompt or no completion left."""
    said = iter(_read(layout_of(pairs), findings, pseudonyms))
    kept = []
    for pair in pairs:
        texts = [next(said) for _ in pair.texts]
        whole = [text for text in texts if text is not None]
        if len(whole) == len(texts) and whole[-1].strip() and whole[-2].strip():
            kept.append(pair.saying(whole))
    return kept


def _read(layout: Layout, findings: Iterable[Finding], pseudonyms: Pseudonyms) -> list[str | None]:
    """What is left to read of each block; None for one that is dropped."""
    known = list(findings)
    starts = layout.starts()
    dropped = {
        at
        for finding in known
        if finding.kind == FindingKind.PRIVILEGE and finding.state in LEFT_OUT
        for at in _blocks_of(starts, finding.start, finding.end)
    }
    texts = _texts(layout, starts, _stretches(layout.text, known, pseudonyms))
    return [None if at in dropped else text for at, text in enumerate(texts)]


def previews(layout: Layout, findings: Iterable[Finding]) -> dict[uuid.UUID, str]:
    """What would be read in place of each finding if it were redacted, numbered within this document."""
    pseudonyms, text = Pseudonyms(), layout.text
    return {
        finding.id: pseudonyms.of(finding.kind, text[finding.start : finding.end])
        for finding in sorted(findings, key=lambda finding: (finding.start, finding.end))
    }


def _blocks_of(starts: list[int], start: int, end: int) -> range:
    """The numbers of the blocks that `text[start:end]` lies in."""
    return range(max(0, bisect_right(starts, start) - 1), bisect_right(starts, max(start, end - 1)))


def _stretches(text: str, findings: Iterable[Finding], pseudonyms: Pseudonyms) -> list[_Stretch]:
    """What is to be replaced, in order and apart. Where findings overlap, all that they cover goes."""
    places = [finding for finding in findings if finding.start < finding.end]
    going = [
        _Place(finding.start, finding.end, finding.kind)
        for finding in places
        if finding.state in LEFT_OUT and finding.kind != FindingKind.PRIVILEGE
    ]
    staying = [
        _Place(finding.start, finding.end, finding.kind)
        for finding in places
        if finding.state not in LEFT_OUT and finding.kind in NAMES
    ]
    stretches = []
    for group in _groups([*going, *_repeated(text, going, staying)]):
        start, end = group[0].start, max(place.end for place in group)
        # A pseudonym stands for one value. Where the stretch is more than that value, none is right.
        whole = [place.kind for place in group if (place.start, place.end) == (start, end)]
        kind = next((kind for kind in whole if kind in NAMES), "")
        stretches.append(_Stretch(start, end, pseudonyms.of(kind, text[start:end])))
    return stretches


def _groups(places: Iterable[_Place]) -> list[list[_Place]]:
    """The places, in order, those together that overlap."""
    groups: list[list[_Place]] = []
    end = 0
    for place in sorted(places):
        if place.start >= end:
            groups.append([])
        groups[-1].append(place)
        end = max(end, place.end)
    return groups


def _repeated(text: str, going: Iterable[_Place], staying: Iterable[_Place]) -> Iterator[_Place]:
    """Where else the text says an identifier that goes, word for word; one pass, however many there are."""
    values = {text[place.start : place.end]: place.kind for place in going if place.kind in NAMES}
    # Each value is looked for by that word of it that fewest of the values share: all e-mail addresses of a
    # client share its domain.
    shared = Counter(word for value in values for word in set(_WORD.findall(value)))
    by_word: dict[str, list[tuple[str, int]]] = {}
    for value in values:
        for rarest in sorted(_WORD.finditer(value), key=lambda word: (shared[word[0]], -len(word[0])))[:1]:
            by_word.setdefault(rarest[0], []).append((value, rarest.start()))
    stays = [(group[0].start, max(place.end for place in group)) for group in _groups(staying)]
    for word in _WORD.finditer(text) if by_word else ():
        for value, offset in by_word.get(word[0], ()):
            start = word.start() - offset
            end = start + len(value)
            if start < 0 or not text.startswith(value, start) or not _stands_alone(text, start, end):
                continue
            before = bisect_left(stays, (end, 0))
            if not before or stays[before - 1][1] <= start:
                yield _Place(start, end, values[value])


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Whether `text[start:end]` is no part of a longer word or number."""
    ends = text[max(0, start - 1) : start + 1], text[end - 1 : end + 1]
    return not any(len(pair) == 2 and _WORD.fullmatch(pair) for pair in ends)


def _texts(layout: Layout, starts: list[int], stretches: list[_Stretch]) -> Iterator[str]:
    """Each block's text after the replacements. What reaches over several blocks is named in the first."""
    at, named = 0, -1
    for block, start in zip(layout.blocks, starts, strict=True):
        end = start + len(block.text)
        while at < len(stretches) and stretches[at].end <= start:
            at += 1
        pieces, done, here = [], start, at
        while here < len(stretches) and stretches[here].start < end:
            stretch = stretches[here]
            pieces.append(block.text[done - start : max(done, stretch.start) - start])
            if here > named:
                pieces.append(stretch.says)
            done, named, here = min(end, stretch.end), here, here + 1
        yield "".join([*pieces, block.text[done - start :]])
