"""What repeats on every page, and what a court or its filing system printed there, is not text."""

from __future__ import annotations

import random

import pytest

from tests.extraction.conftest import Read
from tests.extraction.sheets import FIRST, HEADING, NUMBERED, PARAGRAPH, SECOND, THIRD, Sheets, blocks

STAMPS = [
    "Case 1:20-cv-01507-ABC   Document 12   Filed 01/02/20   Page 3 of 30",
    "Case 1:21-cv-01061-KLM   Document 1   Filed 04/16/21   USDC Colorado   Page 7 of 16",
    "Case 2:19-cv-00012 Document 44-1 Filed on 03/04/19 in TXSD Page 1 of 9 PageID #: 1234",
    "Case: 20-1507     Document: 00117684624     Page: 3      Date Filed: 12/22/2020      Entry ID: 6390389",
    "Appellate Case: 19-1234     Document: 010110278901     Date Filed: 12/20/2019     Page: 2",
    "USCA Case #20-1507      Document #1876543            Filed: 12/22/2020      Page 3 of 30",
    "USCA11 Case: 19-12345     Date Filed: 06/17/2020     Page: 4 of 21",
    "Case 18-2010, Document 98, 11/30/2018, 2445316, Page5 of 61",
    "Case: 1:17-md-02804-DAP Doc #: 2203 Filed: 08/13/19 1 of 7.  PageID #: 330591",
]


@pytest.mark.parametrize("stamp", STAMPS)
def test_a_courts_stamp_is_dropped(read: Read, stamp: str) -> None:
    sheets = Sheets()
    sheets.text(FIRST)
    sheets.line(stamp, x=60, y=778, font="Helvetica", size=10)
    assert blocks(read, sheets) == [(PARAGRAPH, FIRST)]


def test_a_stamp_at_the_foot_of_a_new_york_page_is_dropped(read: Read) -> None:
    sheets = Sheets()
    sheets.line("FILED: NEW YORK COUNTY CLERK 01/02/2020 03:04 PM", x=60, y=778, size=10)
    sheets.line("INDEX NO. 654321/2019", x=440, y=778, size=9)
    sheets.line("NYSCEF DOC. NO. 12", x=60, y=766, size=9)
    sheets.line("RECEIVED NYSCEF: 01/02/2020", x=420, y=766, size=9)
    sheets.text(FIRST)
    assert blocks(read, sheets) == [(PARAGRAPH, FIRST)]


def test_a_clerks_stamp_on_the_first_page_is_dropped(read: Read) -> None:
    sheets = Sheets()
    for number, line in enumerate(["FILED", "Jul 31, 2019", "03:11 PM", "Clerk of the Court"]):
        sheets.canvas.setFont("Helvetica-Bold", 9)
        sheets.canvas.drawCentredString(500, 770 - 11 * number, line)
    sheets.text(FIRST)
    assert blocks(read, sheets) == [(PARAGRAPH, FIRST)]


def test_a_sentence_about_filing_stays(read: Read) -> None:
    sheets = Sheets()
    sheets.line("Case 12 in the catalogue was filed on 3 March and is discussed on page 7 of the report.")
    sheets.space()
    sheets.text(FIRST)
    assert blocks(read, sheets)[0][1].startswith("Case 12 in the catalogue")


def body(number: int) -> str:
    """A paragraph that no other page has."""
    words = f"{FIRST} {SECOND} {THIRD}".split()
    random.Random(number).shuffle(words)
    return f"On page {number} the court {' '.join(words)}."


def book(number_at: str) -> Sheets:
    """Six pages with a head and a number on each."""
    sheets = Sheets()
    for number in range(1, 7):
        left = number % 2 == 0
        if number_at == "head":
            sheets.line("TENANT v. LANDLORD" if left else "Cite as: 12 Rep. 34 (2020)", x=200, y=756, size=10)
            sheets.line(str(number), x=72 if left else 530, y=756, size=10)
            sheets.line("Opinion of the Court", x=250, y=740, size=10)
        else:
            sheets.line("Brief for the Tenant", x=250, y=756, size=10)
            sheets.line(number_at.format(number), x=300, y=40, size=10)
        sheets.text(body(number))
        if number < 6:
            sheets.page()
    return sheets


@pytest.mark.parametrize("number_at", ["head", "{}", "- {} -", "Page {} of 6", "[{}]"])
def test_running_heads_and_page_numbers_are_dropped(read: Read, number_at: str) -> None:
    found = [text for _, text in blocks(read, book(number_at))]
    # What stands on the first page stays: it may be the title that later pages repeat.
    title = "Opinion of the Court" if number_at == "head" else "Brief for the Tenant"
    assert found == [title, *(body(number) for number in range(1, 7))]


def test_line_numbers_of_pleading_paper_are_dropped(read: Read) -> None:
    sheets = Sheets()
    lines = [
        "I. THE MOTION SHOULD BE GRANTED",
        *FIRST.split(", "),
        "1. The first point is the lease.",
    ]
    for number in range(1, 29):
        y = 720 - 24 * (number - 1)
        sheets.line(str(number), x=50 if number < 10 else 44, y=y)
        if number <= len(lines):
            sheets.line(lines[number - 1], x=80, y=y)
    text = "\n".join(text for _, text in blocks(read, sheets))
    assert text.startswith("I. THE MOTION SHOULD BE GRANTED\n")
    assert text.endswith("1. The first point is the lease.")
    assert not any(line.strip().isdigit() for line in text.split("\n"))
    assert "2 The lease" not in text


def test_line_numbers_of_a_transcript_in_plain_text_are_dropped(read: Read) -> None:
    words = SECOND.split()
    lines = [" ".join(words[at : at + 5]) for at in range(0, 50, 5)]
    text = "\n".join(f"{number:>2}  {line}" for number, line in enumerate(lines, 1))
    assert read(text.encode(), "transcript.txt").text == " ".join(words[:50])


def test_a_numbered_list_is_no_margin(read: Read) -> None:
    sheets = Sheets()
    points = [
        f"{number}. The point with this number is about the {word}."
        for number, word in enumerate(
            ["lease", "rent", "grace", "floor", "price", "term", "loss", "court", "breach", "right"], 1
        )
    ]
    for point in points:
        sheets.line(point)
    assert blocks(read, sheets) == [(NUMBERED, point) for point in points]


def test_the_number_of_an_only_page_is_dropped(read: Read) -> None:
    sheets = Sheets()
    sheets.centred("Analysis", font="Times-Bold")
    sheets.text(THIRD)
    sheets.line("[7]", x=300, y=44)
    assert blocks(read, sheets) == [(HEADING, "Analysis"), (PARAGRAPH, THIRD)]
