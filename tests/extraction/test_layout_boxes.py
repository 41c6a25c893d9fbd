"""Words under black boxes are told; whatever one can read is not."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from pypdf import PdfWriter
from pypdf.generic import (
    ArrayObject,
    DictionaryObject,
    FloatObject,
    NameObject,
    NumberObject,
    StreamObject,
)
from reportlab.lib.colors import black, red

from tests.extraction.conftest import Read
from tests.extraction.sheets import FIRST, LEFT, PARAGRAPH, Sheets
from webapp.documents.layout import Mark

SECRET = "Ada Lovelace"
LINE = f"The patient is {SECRET} of London."
WORDS = "Then nothing of the kind happened."


def hidden(read: Read, sheets: Sheets | bytes) -> list[str]:
    """What is said to be under black boxes."""
    found = read(sheets if isinstance(sheets, bytes) else sheets.pdf(), "redacted.pdf").layout
    return [found.text[mark.start : mark.end] for mark in found.marks]


def secret(sheets: Sheets) -> tuple[float, float]:
    """Where the secret stands in a line at the left margin."""
    before = sheets.canvas.stringWidth("The patient is ", "Times-Roman", 12)
    return LEFT + before, LEFT + before + sheets.canvas.stringWidth(SECRET, "Times-Roman", 12)


def covered(sheets: Sheets, y: float = 720) -> None:
    left, right = secret(sheets)
    sheets.box(left - 0.5, y - 3, right + 0.5, y + 10)


def test_words_under_a_black_box_are_marked_where_they_stand(read: Read) -> None:
    sheets = Sheets()
    sheets.text(FIRST)
    sheets.page()
    sheets.line(LINE)
    covered(sheets)
    sheets.line(WORDS)
    found = read(sheets.pdf(), "redacted.pdf").layout
    start = found.text.index(SECRET)
    assert found.marks == (Mark("black_box", start, start + len(SECRET), 2),)
    assert [(block.kind, block.text) for block in found.blocks] == [
        (PARAGRAPH, FIRST),
        (PARAGRAPH, LINE),
        (PARAGRAPH, WORDS),
    ]


def test_a_box_over_the_end_of_a_line_and_the_start_of_the_next_is_one(read: Read) -> None:
    sheets = Sheets()
    sheets.line("The patient, who was born in the spring of a year that the record does not give, is Ada")
    sheets.line("Lovelace of London, and the court so found at the hearing.")
    width = sheets.canvas.stringWidth
    whole = width("The patient, who was born in the spring of a year that the record does not give, is Ada")
    sheets.box(LEFT + whole - width("Ada"), 716, LEFT + whole + 1, 731)
    sheets.box(LEFT - 1, 702, LEFT + width("Lovelace") + 0.5, 716)
    assert hidden(read, sheets) == [SECRET]


@pytest.mark.parametrize("over", ["white", "black"])
def test_a_box_drawn_before_the_words_hides_only_dark_ones(read: Read, over: str) -> None:
    sheets = Sheets()
    sheets.box(LEFT - 4, 714, 540, 736)
    if over == "white":
        sheets.white("MEDICAL HISTORY OF THE PATIENT", LEFT, 720)
    else:
        sheets.line(SECRET, y=720)
    sheets.line(WORDS, y=690)
    assert hidden(read, sheets) == ([] if over == "white" else [SECRET])


def test_a_broad_black_line_hides_what_it_is_drawn_over(read: Read) -> None:
    sheets = Sheets()
    sheets.line(LINE)
    left, right = secret(sheets)
    sheets.canvas.setLineWidth(13)
    sheets.canvas.line(left - 0.5, 723.5, right + 0.5, 723.5)
    assert hidden(read, sheets) == [SECRET]


def test_a_black_picture_hides_what_it_is_drawn_over(read: Read) -> None:
    from PIL import Image
    from reportlab.lib.utils import ImageReader

    sheets = Sheets()
    sheets.line(LINE)
    left, right = secret(sheets)
    sheets.canvas.drawImage(ImageReader(Image.new("RGB", (4, 4))), left - 0.5, 717, right - left + 1, 13)
    sheets.line(WORDS)
    assert hidden(read, sheets) == [SECRET]


def test_a_box_inside_a_form_hides_too(read: Read) -> None:
    sheets = Sheets()
    left, right = secret(sheets)
    canvas = sheets.canvas
    canvas.beginForm("patch")
    canvas.rect(0, 0, right - left + 1, 13, stroke=0, fill=1)
    canvas.endForm()
    sheets.line(LINE)
    canvas.translate(left - 0.5, 717)
    canvas.doForm("patch")
    assert hidden(read, sheets) == [SECRET]


def annotated(subtype: str, colour: tuple[float, float, float]) -> bytes:
    """A page with an annotation over the secret, filled with this colour."""
    sheets = Sheets()
    sheets.line(LINE)
    sheets.line(WORDS)
    left, right = secret(sheets)
    writer = PdfWriter(io.BytesIO(sheets.pdf()))
    box = (left - 0.5, 717.0, right + 0.5, 731.0)
    rectangle = ArrayObject(map(FloatObject, box))
    annotation = DictionaryObject()
    annotation[NameObject("/Type")] = NameObject("/Annot")
    annotation[NameObject("/Subtype")] = NameObject(f"/{subtype}")
    annotation[NameObject("/Rect")] = rectangle
    annotation[NameObject("/F")] = NumberObject(4)
    form = StreamObject()
    form.set_data(b"%f %f %f rg %f %f 200 14 re f" % (*colour, box[0], box[1]))
    form[NameObject("/Subtype")] = NameObject("/Form")
    form[NameObject("/BBox")] = rectangle
    looks = DictionaryObject()
    looks[NameObject("/N")] = writer._add_object(form)
    if subtype != "Redact":
        annotation[NameObject("/AP")] = looks
    writer.pages[0][NameObject("/Annots")] = ArrayObject([writer._add_object(annotation)])
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def test_a_black_annotation_hides_what_it_lies_over(read: Read) -> None:
    assert hidden(read, annotated("Square", (0, 0, 0))) == [SECRET]


def test_a_pale_annotation_hides_nothing(read: Read) -> None:
    assert hidden(read, annotated("Square", (1, 0.9, 0.5))) == []


def test_what_is_marked_for_redaction_and_still_there_is_told(read: Read) -> None:
    assert hidden(read, annotated("Redact", (0, 0, 0))) == [SECRET]


def underline(sheets: Sheets) -> None:
    sheets.rule(LEFT, 300, 718)


def strike(sheets: Sheets) -> None:
    sheets.canvas.setLineWidth(1.5)
    sheets.canvas.line(LEFT, 724, 300, 724)


def highlight(sheets: Sheets) -> None:
    sheets.box(LEFT, 716, 300, 732, grey=0.8)
    sheets.line(LINE, y=720)


def frame(sheets: Sheets) -> None:
    sheets.canvas.setLineWidth(4)
    sheets.canvas.rect(LEFT - 6, 712, 400, 24)


def beside(sheets: Sheets) -> None:
    sheets.box(LEFT, 690, 300, 712)


def stamp(sheets: Sheets) -> None:
    sheets.canvas.setFillColor(red)
    sheets.canvas.rect(400, 700, 60, 40, stroke=0, fill=1)
    sheets.canvas.setFillColor(black)
    sheets.line("FILED", x=410, y=720)


@pytest.mark.parametrize("drawing", [underline, strike, highlight, frame, beside, stamp])
def test_what_one_can_read_is_not_told(read: Read, drawing: Callable[[Sheets], None]) -> None:
    sheets = Sheets()
    sheets.line(LINE)
    drawing(sheets)
    sheets.line(WORDS, y=600)
    assert hidden(read, sheets) == []


def test_a_table_with_a_dark_head_is_not_told(read: Read) -> None:
    sheets = Sheets()
    sheets.box(LEFT, 700, 540, 730, grey=0.15)
    sheets.white("Month", LEFT + 4, 710)
    sheets.white("Rent", 300, 710)
    for number, (month, rent) in enumerate([("January", "1,200"), ("February", "1,200"), ("March", "1,250")]):
        sheets.line(month, x=LEFT + 4, y=680 - 20 * number)
        sheets.line(rent, x=300, y=680 - 20 * number)
        sheets.rule(LEFT, 540, 674 - 20 * number)
    assert hidden(read, sheets) == []
