"""What reading scans takes: Tesseract, and more time than other files."""

from __future__ import annotations

import shutil
from dataclasses import replace

from workers.extraction.result import ExtractionRefused, Limits

MOST_PAGES = 200
PAGE_SECONDS = 60  # of one page: Tesseract takes 2 to 4 for a full one


def tesseract() -> str:
    """Where Tesseract is installed; empty where it is not."""
    return shutil.which("tesseract") or ""


def with_ocr(limits: Limits, pages: int) -> Limits:
    """Limits for a file of which so many pages have to be read from their pictures.

    Raises ExtractionRefused (too_many_pages).
    """
    if pages > MOST_PAGES:
        raise ExtractionRefused(
            "too_many_pages",
            f"This PDF has {pages} scanned pages and {MOST_PAGES} can be read at once; split it into parts.",
        )
    return replace(
        limits,
        ocr_pages=pages,
        cpu_seconds=limits.cpu_seconds + PAGE_SECONDS + 2 * pages,  # each Tesseract has as many of its own
        wall_seconds=limits.wall_seconds + PAGE_SECONDS * pages,
    )
