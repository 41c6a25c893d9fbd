"""From a file to its text, in this process. For files from outside use `sandbox.extract_in_child`."""

from __future__ import annotations

from pathlib import Path

from workers.extraction.result import Extracted, ExtractionRefused, Limits, too_long
from workers.extraction.sniff import kind_of

MIN_LETTERS_PER_PAGE = 10


def extract(path: Path, name: str, limits: Limits | None = None) -> Extracted:
    """The text of the file at `path`, whose uploader called it `name`.

    Raises ExtractionRefused with one sentence for the person when it cannot be used.
    """
    limits = limits or Limits()
    size = path.stat().st_size
    if size == 0:
        raise ExtractionRefused("empty", "This file is empty; check that it was saved and upload it again.")
    if size > limits.file_bytes:
        raise ExtractionRefused(
            "too_large",
            f"This file is larger than {limits.file_bytes // 2**20} MB; split it into smaller files.",
        )
    data = path.read_bytes()
    extracted = _read(kind_of(name, data), data, limits)
    if len(extracted.text) > limits.text_bytes:
        raise too_long()
    letters = sum(character.isalpha() for character in extracted.text)
    if extracted.kind == "pdf" and letters < MIN_LETTERS_PER_PAGE * extracted.pages:
        raise ExtractionRefused(
            "no_text", "This PDF is scanned: it holds pictures of pages and no text; run OCR on it first."
        )
    if letters == 0:
        raise ExtractionRefused("no_text", "This file holds no words; upload one with running text.")
    return extracted


def _read(kind: str, data: bytes, limits: Limits) -> Extracted:
    # Each parser is imported when it is needed: reading a text file costs no PDF library.
    if kind == "pdf":
        from workers.extraction.pdf import read_pdf

        return read_pdf(data, limits)
    if kind == "docx":
        from workers.extraction.docx import read_docx

        return read_docx(data, limits)
    from workers.extraction.txt import read_txt

    return read_txt(data)
