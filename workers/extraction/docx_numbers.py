"""Word's automatic numbers, which stand in no text: counted here as Word counts them (ECMA-376, 17.9)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import IO

from workers.extraction.docx_xml import events, number, value

LEVELS = 9
LONGEST_LABEL = 40  # characters
MAX_LEVELS = 100_000  # in all of a document's lists
_ROMAN = (
    (1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"),
    (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"),
)  # fmt: skip


@dataclass
class _Level:
    start: int = 1
    form: str = "decimal"
    text: str = ""


@dataclass
class _List:
    """`w:abstractNum`: how its levels look, and how far each has counted."""

    levels: dict[int, _Level] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)


class Numbers:
    """The numbering of one document, while it is read from its first paragraph to its last."""

    def __init__(self, part: IO[bytes] | None = None) -> None:
        """Read `word/numbering.xml`. Raises etree.XMLSyntaxError."""
        self._lists: dict[str, _List] = {}
        self._list_of: dict[str, str] = {}  # abstractNumId of a numId
        self._restarts: dict[str, dict[int, int]] = {}  # of a numId that no paragraph has used yet
        if part is not None:
            self._read(part)

    def next(self, list_id: str, level: int) -> str:
        """The label of the next paragraph of this list: `3.`, `(b)`, a bullet, or nothing."""
        found = self._lists.get(self._list_of.get(list_id, ""))
        if found is None or level not in found.levels:
            return ""
        for at, start in self._restarts.pop(list_id, {}).items():
            found.counts.pop(at, None)
            found.levels.setdefault(at, _Level()).start = start
        own = found.levels[level]
        found.counts[level] = found.counts.get(level, own.start - 1) + 1
        for deeper in range(level + 1, LEVELS):
            found.counts.pop(deeper, None)
        if own.form == "bullet":
            return "•"
        if own.form == "none":
            return re.sub(r"%\d", "", own.text).strip()

        def shown(place: re.Match[str]) -> str:
            at = int(place[1]) - 1
            one = found.levels.get(at, _Level())
            return _in_form(found.counts.setdefault(at, one.start), one.form)

        return re.sub(r"%([1-9])", shown, own.text).strip()

    def _read(self, part: IO[bytes]) -> None:
        current: _List | None = None
        level: _Level | None = None
        list_id, override, count = "", 0, 0
        for event, name, element in events(part):
            if event == "end":
                current = None if name == "abstractNum" else current
                level = None if name == "lvl" else level
            elif name == "abstractNum":
                current = self._lists.setdefault(value(element, "abstractNumId") or "", _List())
            elif name == "num":
                list_id = value(element, "numId") or ""
            elif name == "abstractNumId":
                self._list_of[list_id] = value(element) or ""
            elif name == "lvlOverride":
                override = number(value(element, "ilvl")) or 0
            elif name == "startOverride":
                start = number(value(element))
                self._restarts.setdefault(list_id, {})[override] = 1 if start is None else start
            elif name == "lvl" and current is not None:
                level = _Level()
                current.levels[number(value(element, "ilvl")) or 0] = level
                count += 1
            elif level is None:
                continue
            elif name == "start":
                start = number(value(element))
                level.start = 1 if start is None else start
            elif name == "numFmt":
                level.form = value(element) or "decimal"
            elif name == "lvlText":
                level.text = (value(element) or "")[:LONGEST_LABEL]
            if count > MAX_LEVELS:
                return


def _in_form(count: int, form: str) -> str:
    if form in ("lowerLetter", "upperLetter") and 0 < count <= 26 * 10:
        # After z come aa, bb, cc.
        letters = chr(ord("a") + (count - 1) % 26) * ((count - 1) // 26 + 1)
        return letters if form == "lowerLetter" else letters.upper()
    if form in ("lowerRoman", "upperRoman") and 0 < count < 4000:
        return roman(count) if form == "lowerRoman" else roman(count).upper()
    return f"{count:02}" if form == "decimalZero" else str(count)


def roman(count: int) -> str:
    """`count`, from 1 to 3999, in small Roman numerals."""
    found = ""
    for worth, letters in _ROMAN:
        times, count = divmod(count, worth)
        found += letters * times
    return found
