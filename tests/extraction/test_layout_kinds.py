"""Headings, numbered paragraphs and block quotes are told from running text, in PDFs and in plain text."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.extraction.conftest import Read
from tests.extraction.sheets import (
    FIRST,
    HEADING,
    LEFT,
    NUMBERED,
    PARAGRAPH,
    QUOTE,
    RIGHT,
    SECOND,
    THIRD,
    Sheets,
    blocks,
    layout,
)

GOLDEN = Path(__file__).parent / "golden"


def test_headings_have_the_level_that_their_number_says(read: Read) -> None:
    sheets = Sheets()
    sheets.centred("ARGUMENT", font="Times-Bold")
    sheets.text(FIRST)
    for heading in ("I. The Landlord Is in Breach", "A. The Right Stood", "1. The rent was paid in time"):
        sheets.space()
        sheets.line(heading, font="Times-Bold")
        sheets.text(SECOND)
    found = [(block.kind, block.level, block.text) for block in layout(read, sheets)]
    assert [(level, text) for kind, level, text in found if kind == HEADING] == [
        (1, "ARGUMENT"),
        (1, "I. The Landlord Is in Breach"),
        (2, "A. The Right Stood"),
        (3, "1. The rent was paid in time"),
    ]


def test_numbers_alone_in_the_middle_are_headings(read: Read) -> None:
    sheets = Sheets()
    sheets.text(FIRST)
    for number in ("II", "B", "3"):
        sheets.centred(number)
    sheets.text(SECOND)
    assert blocks(read, sheets) == [
        (PARAGRAPH, FIRST),
        (HEADING, "II"),
        (HEADING, "B"),
        (HEADING, "3"),
        (PARAGRAPH, SECOND),
    ]


def test_a_heading_over_two_lines_is_one(read: Read) -> None:
    sheets = Sheets()
    sheets.text(FIRST)
    sheets.space()
    sheets.line("II.", font="Times-Bold", y=sheets.y)
    sheets.line("Remand is required to correct, with an order", x=LEFT + 36, font="Times-Bold")
    sheets.line("nunc pro tunc, the clerical error in the judgment.", x=LEFT + 36, font="Times-Bold")
    sheets.space()
    sheets.text(SECOND)
    assert blocks(read, sheets)[1] == (
        HEADING,
        "II. Remand is required to correct, with an order nunc pro tunc, the clerical error in the judgment.",
    )


def test_a_bold_word_makes_no_heading(read: Read) -> None:
    sheets = Sheets()
    width = sheets.canvas.stringWidth("LOVELACE, ", "Times-Bold", 12)
    sheets.line("LOVELACE, ", font="Times-Bold", y=sheets.y)
    sheets.line("Circuit Judge. This appeal arises out of the letting of a floor.", x=LEFT + width)
    sheets.text(FIRST)
    assert [kind for kind, _ in blocks(read, sheets)] == [PARAGRAPH]


def test_double_spaced_paragraphs_are_told_by_their_indent(read: Read) -> None:
    sheets = Sheets()
    for part in (FIRST, SECOND, THIRD):
        sheets.text(part, indent=36, step=27.6)
    assert blocks(read, sheets) == [(PARAGRAPH, FIRST), (PARAGRAPH, SECOND), (PARAGRAPH, THIRD)]


def test_numbered_paragraphs_and_bullets_keep_their_marks(read: Read) -> None:
    sheets = Sheets()
    sheets.text(f"19. {FIRST}", indent=36, step=24)
    sheets.text(f"20. {SECOND}", indent=36, step=24)
    sheets.space()
    sheets.text(f"(a) {THIRD}", x=LEFT + 36, hanging=18)
    sheets.text(f"\u2022 {FIRST}", x=LEFT + 36, hanging=18)
    assert blocks(read, sheets) == [
        (NUMBERED, f"19. {FIRST}"),
        (NUMBERED, f"20. {SECOND}"),
        (NUMBERED, f"(a) {THIRD}"),
        (NUMBERED, f"\u2022 {FIRST}"),
    ]


@pytest.mark.parametrize("inset", [(36, 36), (30, 0)])
def test_a_block_quote_stands_in(read: Read, inset: tuple[int, int]) -> None:
    left, right = inset
    sheets = Sheets()
    sheets.text(f"{SECOND} The lease provides:", step=24)
    sheets.text(FIRST, x=LEFT + left, right=RIGHT - right)
    sheets.space()
    sheets.text(THIRD, step=24)
    assert blocks(read, sheets) == [
        (PARAGRAPH, f"{SECOND} The lease provides:"),
        (QUOTE, FIRST),
        (PARAGRAPH, THIRD),
    ]


def test_a_paragraph_goes_on_over_the_page_and_has_the_page_where_it_begins(read: Read) -> None:
    sheets = Sheets()
    sheets.text(THIRD, indent=36)
    sheets.y = 110
    rest = sheets.text(f"{FIRST} {SECOND}", indent=36)
    assert rest
    sheets.page()
    sheets.text(rest)
    sheets.text(THIRD, indent=36)
    assert [(block.text, block.page) for block in layout(read, sheets)] == [
        (THIRD, 1),
        (f"{FIRST} {SECOND}", 1),
        (THIRD, 2),
    ]


def test_a_paragraph_that_ends_with_the_page_ends_there(read: Read) -> None:
    sheets = Sheets()
    sheets.text(FIRST, indent=36)
    sheets.page()
    sheets.text(SECOND, indent=36)
    assert blocks(read, sheets) == [(PARAGRAPH, FIRST), (PARAGRAPH, SECOND)]


def test_plain_text_has_headings_quotes_and_numbered_paragraphs(read: Read) -> None:
    text = (
        "                         I. Background\n\n"
        "     The lease gave the tenant a right of first refusal over\n"
        "the second floor, which the landlord let to a stranger.\n"
        "The lease provides:\n\n"
        "          the tenant shall have the first refusal of\n"
        "          any floor that falls vacant in the term.\n\n"
        "     That is plain enough for anybody to read, and it was\n"
        "not read by the landlord.\n\n"
        "     1. The first point is the rent, which was paid when\n"
        "it fell due in March.\n"
    )
    found = read(text.encode(), "brief.txt").layout.blocks
    assert [(block.kind, block.text) for block in found] == [
        (HEADING, "I. Background"),
        (
            PARAGRAPH,
            "The lease gave the tenant a right of first refusal over the second floor, which the landlord "
            "let to a stranger. The lease provides:",
        ),
        (QUOTE, "the tenant shall have the first refusal of any floor that falls vacant in the term."),
        (PARAGRAPH, "That is plain enough for anybody to read, and it was not read by the landlord."),
        (NUMBERED, "1. The first point is the rent, which was paid when it fell due in March."),
    ]


def brief() -> Sheets:
    """Three pages as a court has them: stamped, numbered, with footnotes and a quote over a page's end."""
    sheets = Sheets()
    pages = (
        (
            ("ARGUMENT", "I. The Landlord Is in Breach"),
            FIRST,
            "1 See the lease, clause 12.",
        ),
        (
            ("II. The Right Had Not Lapsed",),
            SECOND,
            "2 The rent for March was paid on 4 April.",
        ),
        (("CONCLUSION",), THIRD, "3 The measure was the same in every case that counsel could find."),
    )
    for number, (headings, words, note) in enumerate(pages, 1):
        stamp = f"Case 1:21-cv-01061-KLM   Document 1   Filed 04/16/21   Page {number} of 3"
        sheets.line(stamp, x=100, y=778, size=10)
        for heading in headings:
            (sheets.centred if heading.isupper() else sheets.line)(heading, font="Times-Bold")
            sheets.space(6)
        sheets.text(words, indent=36, step=24)
        if number == 1:
            sheets.text("The lease provides in its twelfth clause:", indent=36, step=24)
            sheets.y = 174
            rest = sheets.text(f"\u201c{SECOND}\u201d", x=LEFT + 36, right=RIGHT - 36, bottom=140)
        if number == 1:
            carried = rest
        sheets.rule(LEFT, LEFT + 144, 110)
        sheets.line(note, y=96, size=10)
        sheets.line(f"- {number} -", x=296, y=40)
        if number < 3:
            sheets.page()
        if number == 1:
            sheets.text(carried, x=LEFT + 36, right=RIGHT - 36)
            sheets.space()
    return sheets


def test_a_whole_brief_reads_as_the_golden_text(read: Read) -> None:
    found = [f"{block.page} {block.kind}{block.level or ''}: {block.text}" for block in layout(read, brief())]
    assert "\n\n".join(found) + "\n" == (GOLDEN / "brief.txt").read_text()
