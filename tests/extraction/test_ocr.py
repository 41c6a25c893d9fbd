"""Scans are read by Tesseract where it is installed, and told for what they are where it isn't."""

from __future__ import annotations

import io
import os
import shutil
import stat
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pypdfium2
import pytest
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from tests.extraction.conftest import Read
from tests.extraction.files import pdf
from tests.extraction.sheets import FIRST, HEADING, PARAGRAPH, SECOND, THIRD, Sheets
from tests.extraction.test_refusals import is_one_sentence
from workers.extraction import ExtractionRefused, Limits
from workers.extraction.scans import with_ocr

needs_tesseract = pytest.mark.skipif(
    shutil.which("tesseract") is None, reason="Tesseract is not installed, and it reads the scans"
)


def scan(sheets: Sheets, copies: int = 1) -> bytes:
    """The pages as pictures, as from a scanner: no text layer."""
    document = pypdfium2.PdfDocument(sheets.pdf())
    out = io.BytesIO()
    canvas = Canvas(out)
    for _ in range(copies):
        for page in document:
            picture = page.render(scale=200 / 72, grayscale=True).to_pil()
            canvas.drawImage(ImageReader(picture), 0, 0, 612, 792)
            canvas.showPage()
    canvas.save()
    return out.getvalue()


def letter() -> Sheets:
    sheets = Sheets()
    sheets.centred("Rights of First Refusal", font="Times-Bold", size=16)
    sheets.space()
    for part in (FIRST, SECOND):
        sheets.text(part)
        sheets.space()
    return sheets


@needs_tesseract
def test_a_scan_is_read_and_says_how_surely(read: Read) -> None:
    found = read(scan(letter()), "scan.pdf")
    assert [(block.kind, block.text) for block in found.layout.blocks] == [
        (HEADING, "Rights of First Refusal"),
        (PARAGRAPH, FIRST),
        (PARAGRAPH, SECOND),
    ]
    assert found.ocr_confidence is not None
    assert 0.8 < found.ocr_confidence <= 1


@needs_tesseract
def test_only_the_pages_that_lack_text_are_read_from_their_pictures(read: Read) -> None:
    from pypdf import PdfWriter

    writer = PdfWriter()
    typed = Sheets()
    # As no one reads it off a picture: the text layer is what must come out.
    typed.text(f"Zzyzx qqv 0OlI1. {THIRD}")
    writer.append(io.BytesIO(typed.pdf()))
    writer.append(io.BytesIO(scan(letter())))
    out = io.BytesIO()
    writer.write(out)
    found = read(out.getvalue(), "mixed.pdf")
    assert [(block.page, block.text) for block in found.layout.blocks] == [
        (1, f"Zzyzx qqv 0OlI1. {THIRD}"),
        (2, "Rights of First Refusal"),
        (2, FIRST),
        (2, SECOND),
    ]
    assert found.ocr_confidence is not None


@needs_tesseract
def test_a_scan_without_words_is_refused(read: Read) -> None:
    sheets = Sheets()
    sheets.box(100, 300, 500, 500, grey=0.5)
    with pytest.raises(ExtractionRefused) as refused:
        read(scan(sheets), "blank.pdf")
    assert refused.value.code == "no_text"
    is_one_sentence(refused.value.message)


def test_a_file_with_a_text_layer_has_no_confidence(read: Read) -> None:
    assert read(letter().pdf(), "typed.pdf").ocr_confidence is None


@pytest.fixture
def no_tesseract(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))


@pytest.mark.usefixtures("no_tesseract")
def test_without_tesseract_a_scan_is_told_for_what_it_is(read: Read) -> None:
    with pytest.raises(ExtractionRefused, match="scanned: needs OCR") as refused:
        read(scan(letter()), "scan.pdf")
    assert refused.value.code == "no_text"
    is_one_sentence(refused.value.message)


@pytest.mark.usefixtures("no_tesseract")
def test_without_tesseract_a_page_of_pictures_in_a_typed_file_is_left_out(read: Read) -> None:
    sheets = letter()
    sheets.page()
    sheets.canvas.drawImage(ImageReader(io.BytesIO(_picture())), 100, 100, 400, 400)
    found = read(sheets.pdf(), "mixed.pdf")
    assert (found.pages, found.ocr_confidence) == (2, None)
    assert [block.page for block in found.layout.blocks] == [1, 1, 1]


def _picture() -> bytes:
    page = pypdfium2.PdfDocument(pdf())[0]
    out = io.BytesIO()
    page.render(scale=1).to_pil().save(out, "PNG")
    return out.getvalue()


def test_more_scanned_pages_than_can_be_read_are_refused() -> None:
    with pytest.raises(ExtractionRefused, match="has 900 scanned pages") as refused:
        with_ocr(Limits(), 900)
    assert refused.value.code == "too_many_pages"
    is_one_sentence(refused.value.message)


def test_a_reader_of_scans_that_hangs_ends_with_the_reading(
    read: Read, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A program under Tesseract's name that never answers stands in for a picture that it never finishes."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "tesseract"
    seconds = f"8{os.getpid()}"
    program.write_text(f"#!/bin/sh\nexec {shutil.which('sleep')} {seconds}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setattr("workers.extraction.scans.PAGE_SECONDS", 0)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read, scan(letter()), "scan.pdf", Limits(wall_seconds=10))
        assert wait_for(lambda: sleeps(seconds), seconds=10)
        with pytest.raises(ExtractionRefused, match="takes too long"):
            reading.result()
    assert wait_for(lambda: not sleeps(seconds), seconds=5)


def sleeps(seconds: str) -> bool:
    command = f"\0{seconds}\0".encode()
    return any(_ends_with(path, command) for path in Path("/proc").glob("[0-9]*/cmdline"))


def _ends_with(path: Path, command: bytes) -> bool:
    try:
        return path.read_bytes().endswith(command)
    except OSError:  # it has ended meanwhile
        return False


def wait_for(happened: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
