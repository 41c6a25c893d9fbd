"""What comes out of reading a document."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Extracted:
    """A document's text, paragraphs apart by blank lines. `kind`: pdf, docx or txt; `pages` is at least 1."""

    text: str
    pages: int
    kind: str


class ExtractionRefused(Exception):
    """A document that cannot be used. `message` is one sentence for the person who uploaded it.

    `code` is one of: empty, encrypted, corrupt, wrong_type, no_text, unsupported, too_large, too_many_pages,
    too_complex.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Limits:
    """What one document may cost. An honest 500-page brief needs a tenth of each."""

    file_bytes: int = 50 * 2**20
    pages: int = 2000
    unpacked_bytes: int = 100 * 2**20  # of a page's content stream, of a Word file's whole contents
    text_bytes: int = 8 * 2**20
    memory_bytes: int = 2**30  # address space of the reading process
    cpu_seconds: int = 30
    wall_seconds: int = 60


def too_long() -> ExtractionRefused:
    """More text than `Limits.text_bytes`. Made anew each time: an exception remembers where it was raised."""
    return ExtractionRefused(
        "too_large", "This file holds more text than one document may; split it into smaller files."
    )
