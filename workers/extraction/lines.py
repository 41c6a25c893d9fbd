"""A line of a page, with what one sees of it. In PDFs lengths are points, in plain text letters."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

# Noncharacters, which Unicode keeps for a program's own use: what stands between the two is under a black
# box. They travel inside the text, so that the box stays with its words whatever is joined and dropped.
COVERED, UNCOVERED = "\ufdd0", "\ufdd1"

_LOOKALIKES = str.maketrans(
    {
        "\ufb00": "ff",
        "\ufb01": "fi",
        "\ufb02": "fl",
        "\ufb03": "ffi",
        "\ufb04": "ffl",
        "\u2011": "-",
        "\uf0b7": "•",
        "\uf0a7": "•",
        "\uf0d8": "•",  # bullets of the fonts Symbol and Wingdings
    }
)
# Control and format characters, and halves of surrogate pairs: nothing one reads, and databases refuse some.
_UNREADABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\ufff0-\uffff\ud800-\udfff]"
)


def readable(text: str) -> str:
    """One line of text with single spaces, plain letters for ligatures, and nothing that cannot be read."""
    if not text.isascii():
        text = text.translate(_LOOKALIKES)
        # A soft hyphen matters at a line's end only: there it is the hyphen that broke the word.
        text = re.sub("\u00ad(?=\\s*$)", "-", text).replace("\u00ad", "")
    return " ".join(_UNREADABLE.sub("", text).split())


@dataclass(slots=True)
class Line:
    """One line, or the part of one that stands in a column.

    `base` is how far down the page it stands. `size` is its type's, `step` the distance to the line above it
    (0 for a first line).
    """

    text: str
    left: float
    right: float
    base: float
    size: float
    bold: bool = False
    underlined: bool = False
    step: float = 0
    page: int = 1

    @property
    def words(self) -> int:
        return self.text.count(" ") + 1


@dataclass(slots=True)
class Flow:
    """Lines that are read one after the other, and the margins they stand between."""

    lines: list[Line]
    left: float = 0
    right: float = 0
    indent: float = 0  # how far its document's paragraphs' first lines stand in
    column: bool = False  # one of several side by side
    justified: bool = False

    @property
    def width(self) -> float:
        return self.right - self.left


@dataclass(slots=True)
class Page:
    """A page's lines from top to bottom; `rules` are the thin lines drawn on it: left, right, base."""

    number: int
    lines: list[Line]
    height: float
    width: float
    rules: list[tuple[float, float, float]] = field(default_factory=list)
