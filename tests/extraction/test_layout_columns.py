"""Columns are read one after the other, captions side by side, tables row by row."""

from __future__ import annotations

from tests.extraction.conftest import Read
from tests.extraction.sheets import (
    FIRST,
    HEADING,
    PARAGRAPH,
    SECOND,
    THIRD,
    Sheets,
    blocks,
)

GUTTER = 24
MIDDLE = 306


def test_two_columns_are_read_one_after_the_other(read: Read) -> None:
    sheets = Sheets(size=10)
    sheets.centred("Rights of First Refusal", font="Times-Bold", size=16)
    sheets.space(10)
    top = sheets.y
    rest = sheets.text(f"{FIRST} {SECOND}", right=MIDDLE - GUTTER / 2, bottom=top - 160)
    sheets.y = top
    sheets.text(rest, x=MIDDLE + GUTTER / 2)
    sheets.space()
    sheets.text(THIRD, x=MIDDLE + GUTTER / 2)
    assert blocks(read, sheets) == [
        (HEADING, "Rights of First Refusal"),
        (PARAGRAPH, f"{FIRST} {SECOND}"),
        (PARAGRAPH, THIRD),
    ]


def test_columns_drawn_line_by_line_across_are_read_down(read: Read) -> None:
    left = ["The lease gave the tenant a right of first", "refusal over the second floor, which the"]
    left += ["landlord let to a stranger, and nothing", "shows that the tenant knew of it at all."]
    right = ["A right of first refusal is a promise, and", "a promise is broken when performance is"]
    right += ["due and does not come, whatever may be", "said of the rent that was paid in March."]
    sheets = Sheets(size=11)
    for one, other in zip(left, right, strict=True):
        sheets.line(one, y=sheets.y)
        sheets.line(other, x=MIDDLE + 12)
    assert blocks(read, sheets) == [(PARAGRAPH, " ".join(left)), (PARAGRAPH, " ".join(right))]


def test_text_above_and_below_columns_stays_there(read: Read) -> None:
    sheets = Sheets(size=10)
    sheets.text(FIRST)
    sheets.space()
    top = sheets.y
    sheets.text(SECOND, right=MIDDLE - 12)
    below = sheets.y
    sheets.y = top
    sheets.text(THIRD, x=MIDDLE + 12)
    sheets.y = below
    sheets.space()
    sheets.text(f"In sum: {THIRD}")
    assert [text for _, text in blocks(read, sheets)] == [FIRST, SECOND, THIRD, f"In sum: {THIRD}"]


def test_a_caption_is_read_party_by_party(read: Read) -> None:
    sheets = Sheets()
    rows = [("ACME TENANTS LLC,", "No. 21-cv-1061"), ("", ""), ("Plaintiff,", "Hon. Ada Lovelace"), ("", "")]
    rows += [("v.", "COMPLAINT"), ("", ""), ("BOLT LANDLORDS INC.,", "Jury trial demanded"), ("", "")]
    rows += [("Defendant.", "")]
    for party, docket in rows:
        y = sheets.y
        if party:
            sheets.line(party, y=y)
        if docket:
            sheets.line(docket, x=330, y=y)
        sheets.line(")", x=300)
    found = " / ".join(text for _, text in blocks(read, sheets))
    assert ")" not in found
    assert found.index("BOLT LANDLORDS") < found.index("Defendant.") < found.index("No. 21-cv-1061")


def test_a_table_is_read_row_by_row(read: Read) -> None:
    sheets = Sheets()
    rows = [("January", "1,200", "paid"), ("February", "1,200", "paid"), ("March", "1,250", "late")]
    rows += [("April", "1,250", "paid"), ("May", "1,300", "paid")]
    for month, rent, state in rows:
        y = sheets.y
        sheets.line(month, y=y)
        sheets.line(rent, x=250, y=y)
        sheets.line(state, x=400)
    text = " ".join(text for _, text in blocks(read, sheets))
    assert "March 1,250 late" in text
    assert text.index("January 1,200 paid") < text.index("May 1,300 paid")


def test_words_that_a_line_breaks_are_whole_and_compounds_keep_their_hyphen(read: Read) -> None:
    lines = [
        "The tenant had actual notice of the hear-",
        "ing and acted in good faith throughout. It says that good-",
        "faith reliance excuses it, and that the well-known rule of good-faith",
        "dealing bars the landlord, who let the second floor on 3-",
        "5 March without a word.",
    ]
    sheets = Sheets()
    for line in lines:
        sheets.line(line)
    assert blocks(read, sheets) == [
        (
            PARAGRAPH,
            "The tenant had actual notice of the hearing and acted in good faith throughout. It says that "
            "good-faith reliance excuses it, and that the well-known rule of good-faith dealing bars the "
            "landlord, who let the second floor on 3-5 March without a word.",
        )
    ]


def test_nobody_hyphenated_so_each_hyphen_is_meant(read: Read) -> None:
    sheets = Sheets()
    sheets.text(f"{FIRST} {SECOND} The part of the rent that is final was paid. {THIRD} " * 3)
    sheets.line("An order of that kind is a non-")
    sheets.line("final one, of which no appeal lies.")
    text = " ".join(text for _, text in blocks(read, sheets))
    assert "is a non-final one" in text


def test_a_page_on_its_side_is_read_as_it_is_shown(read: Read) -> None:
    sheets = Sheets()
    canvas = sheets.canvas
    canvas.setPageRotation(90)
    canvas.saveState()
    canvas.translate(72, 72)
    canvas.rotate(90)
    canvas.setFont("Times-Roman", 12)
    for number, line in enumerate(
        ["The first line of the page on its side,", "and the second one below it."]
    ):
        canvas.drawString(0, -14 * number, line)
    canvas.restoreState()
    assert blocks(read, sheets) == [
        (PARAGRAPH, "The first line of the page on its side, and the second one below it.")
    ]


def test_a_watermark_across_the_page_is_not_text(read: Read) -> None:
    sheets = Sheets()
    sheets.text(FIRST)
    canvas = sheets.canvas
    canvas.saveState()
    canvas.translate(200, 300)
    canvas.rotate(45)
    canvas.setFont("Helvetica", 60)
    canvas.drawString(0, 0, "DRAFT")
    canvas.restoreState()
    assert blocks(read, sheets) == [(PARAGRAPH, FIRST)]
