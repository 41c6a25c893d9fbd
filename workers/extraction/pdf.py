"""PDF: checked with pypdf, which refuses what unpacks too far, then read with PDFium, which reads better."""

from __future__ import annotations

import io
import itertools
import re
import statistics

import pypdfium2
from pypdf import PdfReader
from pypdf.errors import LimitReachedError, PyPdfError

from webapp.documents.layout import Layout
from workers.extraction.cleanup import Line, to_text
from workers.extraction.result import Extracted, ExtractionRefused, Limits, too_long

POINTS_PER_CHARACTER = 5.0  # of common body type, to tell indents
WIDE_GAP = 1.35  # times the usual distance between lines


def _corrupt() -> ExtractionRefused:
    return ExtractionRefused(
        "corrupt",
        "This PDF is damaged; open it in a PDF reader, save it as a new PDF and upload that.",
    )


def read_pdf(data: bytes, limits: Limits) -> Extracted:
    """The text of a PDF, page by page.

    Raises ExtractionRefused: encrypted, corrupt, too_many_pages, too_complex, too_large.
    """
    _check(data, limits)
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError:
        raise _corrupt() from None
    pages: list[list[Line]] = []
    characters = 0
    for number in range(len(document)):
        try:
            page = document[number]
            lines = _lines(page.get_textpage())
            page.close()
        except pypdfium2.PdfiumError:
            raise _corrupt() from None
        characters += sum(len(line.text) for line in lines)
        if characters > limits.text_bytes:
            raise too_long()
        pages.append(lines)
    if not pages:
        raise _corrupt()
    return Extracted("pdf", len(pages), Layout.of_text(to_text(pages)))


def _check(data: bytes, limits: Limits) -> None:
    """Refuse what PDFium would choke on: it unpacks a content stream whole, whatever it unpacks to."""
    try:
        reader = PdfReader(io.BytesIO(data))
        # Many files are encrypted with an empty password, only to forbid printing: those open everywhere.
        if reader.is_encrypted and not reader.decrypt(""):
            raise ExtractionRefused(
                "encrypted", "This PDF is locked with a password; remove the password and upload it again."
            )
        count = len(reader.pages)
        if count > limits.pages:
            raise ExtractionRefused(
                "too_many_pages",
                f"This PDF has {count} pages and one document may have {limits.pages}; split it into parts.",
            )
        unpacked = 0
        for page in reader.pages:
            contents = page.get_contents()
            unpacked += len(contents.get_data()) if contents is not None else 0
            if unpacked > limits.unpacked_bytes:
                raise LimitReachedError
    except (LimitReachedError, MemoryError, RecursionError):
        raise ExtractionRefused(
            "too_complex",
            "This PDF unpacks to far more than a document holds; print it to a new PDF or split it.",
        ) from None
    except (PyPdfError, ValueError, LookupError, TypeError, AttributeError, OSError, NotImplementedError):
        # Damaged syntax surfaces in pypdf as any of these.
        raise _corrupt() from None


def _lines(textpage: pypdfium2.PdfTextPage) -> list[Line]:
    """The page's lines in reading order, with their indent and whether a wide gap is above them."""
    placed: list[tuple[str, float, float]] = []
    at = 0
    # PDFium puts U+FFFE where a hyphen broke a word, and no line break.
    for raw in re.split("(?<=\n)|(?<=\ufffe)", textpage.get_text_range()):
        text = raw.replace("\ufffe", "-").strip()
        if text:
            left, bottom, _, _ = textpage.get_charbox(at + len(raw) - len(raw.lstrip()))
            placed.append((text, left, bottom))
        at += len(raw)
    steps = [above[2] - line[2] for above, line in itertools.pairwise(placed)]
    usual = statistics.median([step for step in steps if step > 0] or [0])
    gaps = [False, *(step > WIDE_GAP * usual for step in steps)]
    return [
        Line(text, indent=left / POINTS_PER_CHARACTER, gap=gap)
        for (text, left, _), gap in zip(placed, gaps, strict=False)
    ]
