"""PDF, read with PDFium: each page's lines with their places, then what a reader makes of them."""

from __future__ import annotations

import io
import statistics
from collections.abc import Sequence

import pypdfium2
import pypdfium2.raw as pdfium

from workers.extraction.cleanup import to_layout
from workers.extraction.lines import Page
from workers.extraction.pdf_page import PageReader
from workers.extraction.result import Extracted, ExtractionRefused, Limits, NeedsOcr, too_long

FEW_LETTERS = 10  # of a page: what has fewer has no text layer
DRAWN_TEXT = 50  # shapes: a page whose letters are drawn as outlines
UNSURE = 0.6  # of a page of print Tesseract is sure, on average: a bad scan is above, a photograph below


def _corrupt() -> ExtractionRefused:
    return ExtractionRefused(
        "corrupt",
        "This PDF is damaged; open it in a PDF reader, save it as a new PDF and upload that.",
    )


def read_pdf(data: bytes, limits: Limits) -> Extracted:
    """The text of a PDF as a person reads it, pages without a text layer by way of their pictures.

    PDFium unpacks a page whole, whatever it unpacks to: a bomb ends at the limits of the reading process (see
    `sandbox`), outside of which no file from outside may be read. Raises ExtractionRefused: encrypted,
    corrupt, too_many_pages, too_large, too_complex, no_text; NeedsOcr where `limits` leave no time for that.
    """
    document = open_pdf(data, limits)
    reader = PageReader()
    pages: list[Page] = []
    scans: list[int] = []
    letters = 0
    for number in range(len(document)):
        try:
            page = document[number]
            seen = reader.read(page, number + 1)
            page.close()
        except pypdfium2.PdfiumError:
            raise _corrupt() from None
        own = sum(len(line.text) for line in seen.page.lines)
        letters += own
        if letters > limits.text_bytes:
            raise too_long()
        if own < FEW_LETTERS:
            if seen.drawn.pictures or seen.drawn.shapes >= DRAWN_TEXT:
                scans.append(number)
            elif own == 0:
                _check_empty(data, number, limits)
        pages.append(seen.page)
    confidence = None
    if scans and limits.tesseract:
        if len(scans) > limits.ocr_pages:
            raise NeedsOcr(len(scans))
        confidence = _read_scans(document, scans, pages, limits)
    elif scans and letters < FEW_LETTERS * len(pages):
        raise ExtractionRefused(
            "no_text",
            "This PDF is scanned: needs OCR, and Tesseract, which would read it, is not installed here; "
            "run OCR on it and upload it again.",
        )
    return Extracted("pdf", len(pages), to_layout(pages), ocr_confidence=confidence)


def _read_scans(
    document: pypdfium2.PdfDocument, scans: Sequence[int], pages: list[Page], limits: Limits
) -> float | None:
    """Put what Tesseract reads on the pages `scans` into `pages`. Returns how sure it is, from 0 to 1.

    Where other pages hold text, a page on which it is unsure of most words is a map or a photograph: what it
    saw there is no text. None when nothing was read.
    """
    from workers.extraction.ocr import read_picture

    sure: list[float] = []
    for number in scans:
        try:
            page, words = read_picture(document[number], number + 1, limits.tesseract)
        except pypdfium2.PdfiumError:
            raise _corrupt() from None
        if len(scans) < len(pages) and (not words or statistics.fmean(words) < UNSURE):
            continue
        pages[number] = page
        sure += words
    if not sure:
        return 0.0 if len(scans) == len(pages) else None
    return round(statistics.fmean(sure), 4)


def _check_empty(data: bytes, number: int, limits: Limits) -> None:
    """Refuse a page that is blank only because PDFium had not the memory to unpack what is on it.

    pypdf counts while it unpacks. It is asked about blank pages alone, for it is slow.
    """
    from pypdf import PdfReader
    from pypdf.errors import LimitReachedError

    try:
        contents = PdfReader(io.BytesIO(data)).pages[number].get_contents()
        if contents is not None and len(contents.get_data()) > limits.unpacked_bytes:
            raise LimitReachedError
    except (LimitReachedError, MemoryError, RecursionError):
        raise ExtractionRefused(
            "too_complex",
            "This PDF unpacks to far more than a document holds; print it to a new PDF or split it.",
        ) from None
    except Exception:  # noqa: S110 - damaged syntax surfaces as anything; PDFium read the file, and found a blank page
        pass


def open_pdf(data: bytes, limits: Limits) -> pypdfium2.PdfDocument:
    """The document in `data`. Raises ExtractionRefused: encrypted, corrupt, too_many_pages."""
    try:
        # Many files are encrypted with an empty password, only to forbid printing: those open everywhere.
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if error.err_code in (pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY):
            raise ExtractionRefused(
                "encrypted", "This PDF is locked with a password; remove the password and upload it again."
            ) from None
        raise _corrupt() from None
    count = len(document)
    if count > limits.pages:
        raise ExtractionRefused(
            "too_many_pages",
            f"This PDF has {count} pages and one document may have {limits.pages}; split it into parts.",
        )
    if count == 0:
        raise _corrupt()
    return document
