"""Pages of an original as pictures, drawn in a process with limits."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from tests.extraction.files import BRIEF, pdf
from tests.extraction.test_office import SAMPLES, needs_office
from tests.extraction.test_refusals import is_one_sentence
from workers.extraction import ExtractionRefused, Limits
from workers.extraction.render import render_pages


def write(folder: Path, data: bytes) -> Path:
    path = folder / "original"
    path.write_bytes(data)
    return path


def test_it_draws_the_pages_that_are_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path, pdf([BRIEF, ["", "another"], ["third"]]))
    drawn = render_pages(path, "brief.pdf", [1, 3, 9])
    assert [number for number, _ in drawn] == [1, 3]
    picture = Image.open(io.BytesIO(drawn[0][1]))
    assert picture.format == "PNG"
    assert (picture.width, picture.height) == (910, 1287)  # of A4, at 110 dots per inch
    assert picture.convert("L").getextrema() == (0, 255)


def test_no_pages_are_no_pictures(tmp_path: Path) -> None:
    assert render_pages(write(tmp_path, pdf()), "brief.pdf", []) == []


@needs_office
def test_a_word_file_is_printed_first() -> None:
    drawn = render_pages(SAMPLES / "brief.doc", "brief.doc", [1])
    assert Image.open(io.BytesIO(drawn[0][1])).format == "PNG"


@pytest.mark.parametrize(
    ("data", "name", "code"),
    [(b"words", "note.txt", "unsupported"), (b"%PDF-1.4 broken", "brief.pdf", "corrupt")],
)
def test_what_has_no_pages_is_refused(tmp_path: Path, data: bytes, name: str, code: str) -> None:
    with pytest.raises(ExtractionRefused) as refused:
        render_pages(write(tmp_path, data), name, [1])
    assert refused.value.code == code
    is_one_sentence(refused.value.message)


def test_pictures_larger_than_the_limit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ExtractionRefused):
        render_pages(write(tmp_path, pdf()), "brief.pdf", [1], Limits(output_bytes=1000))


def test_a_poster_comes_out_coarser(tmp_path: Path) -> None:
    from reportlab.pdfgen.canvas import Canvas

    out = io.BytesIO()
    canvas = Canvas(out, pagesize=(14000, 14000))
    canvas.drawString(100, 100, "A map of the river")
    canvas.save()
    [(_, png)] = render_pages(write(tmp_path, out.getvalue()), "map.pdf", [1])
    picture = Image.open(io.BytesIO(png))
    assert picture.width * picture.height <= 4_100_000
