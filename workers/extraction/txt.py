"""Plain text in the encodings that law firms' files come in."""

from __future__ import annotations

import codecs

from webapp.documents.layout import Layout
from workers.extraction.cleanup import Line, to_text
from workers.extraction.result import Extracted, ExtractionRefused

WRAP = 120  # characters: a longer line was never wrapped, so it is a paragraph by itself
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def read_txt(data: bytes) -> Extracted:
    """The text of a plain file; form feeds separate its pages.

    Raises ExtractionRefused (wrong_type) when the bytes are not text.
    """
    pages = decode(data).replace("\r\n", "\n").replace("\r", "\n").strip("\f").split("\f")
    lines = [line for page in pages for line in page.split("\n") if line.strip()]
    unwrapped = sum(len(line) > WRAP for line in lines) * 4 > len(lines)
    text = to_text([_lines(page, unwrapped) for page in pages])
    return Extracted("txt", len(pages), Layout.of_text(text))


def _lines(page: str, unwrapped: bool) -> list[Line]:
    lines = []
    gap = True
    for raw in page.expandtabs(4).split("\n"):
        text = raw.strip()
        if text:
            lines.append(Line(text, indent=len(raw) - len(raw.lstrip()), gap=gap or unwrapped))
        gap = not text
    return lines


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
