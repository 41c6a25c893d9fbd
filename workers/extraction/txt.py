"""Plain text in the encodings that law firms' files come in."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence

from webapp.documents.layout import Block, Layout
from workers.extraction.cleanup import to_layout
from workers.extraction.kinds import classify_line
from workers.extraction.lines import Line, Page, readable
from workers.extraction.result import Extracted, ExtractionRefused

WRAP = 120  # characters: a longer line was never wrapped, so it is a paragraph by itself
EM = 2.0  # letters to a type size
LINE = 2.4  # letters to the distance of two lines

_PARTS = re.compile(r"\S+(?: {1,3}\S+)*")  # more spaces part columns
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def read_txt(data: bytes) -> Extracted:
    """The text of a plain file; form feeds separate its pages.

    Raises ExtractionRefused (wrong_type) when the bytes are not text.
    """
    pages = decode(data).replace("\r\n", "\n").replace("\r", "\n").strip("\f").split("\f")
    lines = [line for page in pages for line in page.split("\n") if line.strip()]
    if sum(len(line) > WRAP for line in lines) * 4 > len(lines):
        return Extracted("txt", len(pages), _of_unwrapped(pages))
    layout = to_layout([_page(page, number) for number, page in enumerate(pages, 1)])
    return Extracted("txt", len(pages), layout)


def _of_unwrapped(pages: Sequence[str]) -> Layout:
    """Text that was never wrapped: each of its lines is a paragraph, whatever stands between them."""
    blocks: list[Block] = []
    for number, page in enumerate(pages, 1):
        for text in filter(None, map(readable, page.split("\n"))):
            kind, level = classify_line(text)
            blocks.append(Block(kind, text, number, level))
    return Layout(tuple(blocks))


def _page(text: str, number: int) -> Page:
    """The page's lines as if it were printed: a letter is one wide, a line LINE high."""
    lines: list[Line] = []
    base = 0.0
    for raw in text.expandtabs(4).split("\n"):
        base += LINE
        for part in _PARTS.finditer(raw):
            words = readable(part[0])
            if words:
                lines.append(Line(words, part.start(), part.end(), base, EM, page=number))
    return Page(number, lines, height=base, width=max((line.right for line in lines), default=0))


def decode(data: bytes) -> str:
    """UTF-8, UTF-16 with its mark, else Windows' western code page, as long as the result is text."""
    binary = ExtractionRefused(
        "wrong_type", "This file is named as text but holds something else; save it as PDF, DOCX or TXT."
    )
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            try:
                return data[len(mark) :].decode(encoding)
            except UnicodeDecodeError:
                raise binary from None
    control = sum(data.count(code) for code in range(32) if code not in b"\t\n\v\f\r")
    if control * 100 > len(data) or b"\0" in data:
        raise binary
    for encoding in ("utf-8", "cp1252"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise binary
