"""From a file to what it holds, in this process. For files from outside use `sandbox.extract_in_child`."""

from __future__ import annotations

import re
from pathlib import Path

from webapp.documents.formats import CONVERTED
from workers.extraction.result import Extracted, ExtractionRefused, Limits, NeedsConversion, too_long
from workers.extraction.sniff import kind_of

MIN_LETTERS_PER_PAGE = 10
GARBLED = 0.05  # of a text's characters: more that stand for nothing, and it was read with the wrong letters

# The replacement character, letters that only one font knows, and what Unicode never assigned.
_MEANINGLESS = re.compile("[\ufffd\ue000-\uf8ff\U000e0000-\U0010ffff]")


def extract(path: Path, name: str, limits: Limits | None = None, *, depth: int = 0) -> Extracted:
    """What is in the file at `path`, whose uploader called it `name`, and which lay in `depth` archives.

    Raises ExtractionRefused with one sentence for the person when it cannot be used, and NeedsConversion for
    what only LibreOffice reads.
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
    extracted = _read(kind_of(name, data), data, limits, depth)
    if extracted.kind not in ("zip", "jsonl", "json", "csv", "xlsx"):
        _check_text(extracted, limits)
    return extracted


def _check_text(extracted: Extracted, limits: Limits) -> None:
    text = extracted.text
    if len(text) > limits.text_bytes:
        raise too_long()
    letters = sum(map(str.isalpha, text))
    of_text = extracted.kind == "pdf" and extracted.ocr_confidence is None
    if of_text and letters < MIN_LETTERS_PER_PAGE * extracted.pages:
        raise ExtractionRefused(
            "no_text",
            "This PDF holds next to no text; if its pages are pictures, run OCR on it and upload it again.",
        )
    if letters == 0:
        raise ExtractionRefused("no_text", "This file holds no words; upload one with running text.")
    if len(_MEANINGLESS.findall(text)) > GARBLED * len(text):
        raise ExtractionRefused(
            "unreadable",
            "The words of this file come out as signs that nobody can read; open it in the program that made "
            "it and save it as a new PDF or DOCX.",
        )


def _read(kind: str, data: bytes, limits: Limits, depth: int) -> Extracted:
    # Each parser is imported when it is needed: reading a text file costs no PDF library.
    if kind == "pdf":
        from workers.extraction.pdf import read_pdf

        return read_pdf(data, limits)
    if kind == "docx":
        from workers.extraction.docx import read_docx

        return read_docx(data, limits)
    if kind in CONVERTED:
        from workers.extraction.office import check

        check(kind, data, limits)
        raise NeedsConversion(kind)
    if kind == "html":
        from workers.extraction.html import read_html

        return read_html(data, limits)
    if kind == "md":
        from workers.extraction.markdown import read_markdown

        return read_markdown(data, limits)
    if kind == "eml":
        from workers.extraction.eml import read_eml

        return read_eml(data, limits, depth)
    if kind == "zip":
        from workers.extraction.archive import read_zip

        return read_zip(data, limits, depth)
    if kind in ("jsonl", "json"):
        from workers.extraction.jsonl import read_jsonl

        return read_jsonl(kind, data, limits)
    if kind in ("csv", "xlsx"):
        from workers.extraction.spreadsheet import read_csv, read_xlsx

        return read_csv(data, limits) if kind == "csv" else read_xlsx(data, limits)
    from workers.extraction.txt import read_txt

    return read_txt(data)
