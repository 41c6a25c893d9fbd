"""Footnotes come after the body, each whole, its number first."""

from __future__ import annotations

from tests.extraction.conftest import Read
from tests.extraction.sheets import FIRST, FOOTNOTE, LEFT, PARAGRAPH, SECOND, THIRD, Sheets, blocks, layout

NOTE = "See the lease, clause 12, which is set out in full in the appendix and needs no gloss."
OTHER = "The landlord abandoned the point at the hearing, where counsel said that nothing turned on it."
LONG = f"{OTHER} {NOTE} The parties agree that the appendix is complete, and that no page of it is missing."


def raised(sheets: Sheets, mark: str, x: float, y: float) -> None:
    sheets.line(mark, x=x, y=y + 4, size=7)


def test_footnotes_under_a_rule_are_kept_apart(read: Read) -> None:
    sheets = Sheets()
    sheets.text(FIRST)
    sheets.rule(LEFT, LEFT + 144, 150)
    sheets.y = 136
    sheets.text(f"1 {NOTE}", size=12, indent=20, bottom=40)
    sheets.text(f"2 {OTHER}", size=12, indent=20, bottom=40)
    sheets.page()
    sheets.text(f"Then this. {SECOND}")
    assert blocks(read, sheets) == [
        (PARAGRAPH, FIRST),
        (PARAGRAPH, f"Then this. {SECOND}"),
        (FOOTNOTE, f"1 {NOTE}"),
        (FOOTNOTE, f"2 {OTHER}"),
    ]


def test_small_type_below_the_text_is_a_footnote_without_a_rule(read: Read) -> None:
    sheets = Sheets()
    sheets.text(FIRST)
    sheets.y = 120
    sheets.text(f"1 {NOTE}", size=9)
    assert blocks(read, sheets) == [(PARAGRAPH, FIRST), (FOOTNOTE, f"1 {NOTE}")]


def test_a_footnotes_number_is_raised_in_the_text_and_plain_before_the_note(read: Read) -> None:
    first, second = (
        "The landlord says that the right of first refusal had lapsed.",
        "It had not, as the facts show.",
    )
    sheets = Sheets()
    sheets.line(first, y=720)
    end = LEFT + sheets.canvas.stringWidth(first, "Times-Roman", 12)
    raised(sheets, "1", end, 720)
    sheets.line(second, x=end + 8)
    sheets.line("So the landlord is in breach of it.")
    sheets.rule(LEFT, LEFT + 120, 110)
    raised(sheets, "1", LEFT, 96)
    sheets.y = 96
    sheets.text(NOTE, x=LEFT + 4, size=10)
    assert blocks(read, sheets) == [
        (PARAGRAPH, f"{first}¹ {second} So the landlord is in breach of it."),
        (FOOTNOTE, f"1 {NOTE}"),
    ]


def test_a_footnote_goes_on_at_the_foot_of_the_next_page(read: Read) -> None:
    sheets = Sheets()
    sheets.text(FIRST)
    sheets.rule(LEFT, LEFT + 144, 104)
    sheets.y = 92
    rest = sheets.text(f"1 {LONG}", size=10, bottom=72)
    sheets.page()
    sheets.text(f"Then this. {SECOND}")
    sheets.rule(LEFT, LEFT + 144, 104)
    sheets.y = 92
    sheets.text(rest, size=10)
    sheets.text(f"2 {NOTE}", size=10, bottom=40)
    found = layout(read, sheets)
    assert [(block.kind, block.text, block.page) for block in found] == [
        (PARAGRAPH, FIRST, 1),
        (PARAGRAPH, f"Then this. {SECOND}", 2),
        (FOOTNOTE, f"1 {LONG}", 1),
        (FOOTNOTE, f"2 {NOTE}", 2),
    ]


def test_a_line_of_a_footnote_that_starts_with_a_year_is_no_new_footnote(read: Read) -> None:
    sheets = Sheets()
    sheets.text(FIRST)
    sheets.rule(LEFT, LEFT + 144, 104)
    lines = ["3 The lease of that floor was renewed in", "2012 and again two years later, as of May."]
    for number, line in enumerate(lines):
        sheets.line(line, y=90 - 11 * number, size=10)
    assert blocks(read, sheets)[1:] == [(FOOTNOTE, " ".join(lines))]


def test_a_page_in_small_type_is_no_footnote(read: Read) -> None:
    sheets = Sheets()
    for part in (FIRST, SECOND, THIRD):
        sheets.text(part)
        sheets.space()
    sheets.page()
    sheets.text(
        "1. The syllabus of this opinion is set in smaller type, from the head of its page to the foot.",
        size=9,
    )
    sheets.space()
    sheets.text(f"2. {THIRD}", size=9)
    assert not any(kind == FOOTNOTE for kind, _ in blocks(read, sheets))


def test_a_line_to_sign_on_starts_no_footnotes(read: Read) -> None:
    sheets = Sheets()
    sheets.text(FIRST)
    sheets.rule(LEFT, LEFT + 200, 140)
    sheets.line("Ada Lovelace", y=126)
    sheets.line("Counsel for the Tenant", y=112)
    assert not any(kind == FOOTNOTE for kind, _ in blocks(read, sheets))
