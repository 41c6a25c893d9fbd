"""Real court documents, where the checkout has them beside it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.extraction.test_ocr import needs_tesseract
from webapp.documents.layout import BlockKind
from workers.extraction import Extracted, ExtractionRefused
from workers.extraction.sandbox import extract_in_child

SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "samples"

pytestmark = [
    pytest.mark.samples,
    pytest.mark.skipif(not SAMPLES.is_dir(), reason="no sample documents beside this checkout"),
]


def read(name: str) -> Extracted:
    return extract_in_child(SAMPLES / name, name)


def text(name: str) -> str:
    return read(name).text


def of_kind(name: str, kind: BlockKind) -> list[str]:
    return [block.text for block in read(name).layout.blocks if block.kind == kind]


def test_a_slip_opinion_in_pdf_reads_as_paragraphs() -> None:
    opinion = text("scotus/tarrant-v-herrmann.pdf")
    assert "It follows, then, that “[i]f any inference at all is to be drawn from” silence" in opinion
    assert "regulate the activities of her own citizens.” Virginia v. Maryland, 540 U. S. 56, 67." in opinion
    assert "construed under contract-law principles" in opinion
    assert "were unwilling to release their own stored water" in opinion
    assert "Cite as: 569 U. S." not in opinion
    assert "Opinion of the Court" not in opinion
    assert opinion.count("TARRANT REGIONAL WATER DIST") == 2  # the titles of syllabus and opinion


def test_a_slip_opinions_footnotes_come_whole_after_it() -> None:
    notes = of_kind("scotus/tarrant-v-herrmann.pdf", BlockKind.FOOTNOTE)
    assert [note.split()[0] for note in notes] == [str(number) for number in range(1, 14)]
    # It goes on at the foot of the next page.
    assert notes[5].endswith("Webster’s Third New International Dictionary 19 (1966).")
    body = text("scotus/tarrant-v-herrmann.pdf")
    assert "in which each subbasin is located.² The remaining subbasin, subbasin 5" in body


def test_a_slip_opinion_has_its_headings_and_quotes() -> None:
    headings = of_kind("scotus/tarrant-v-herrmann.pdf", BlockKind.HEADING)
    assert headings[-11:] == ["I", "A", "B", "II", "A", "B", "1", "2", "3", "4", "C", "III"][-11:]
    quotes = of_kind("scotus/tarrant-v-herrmann.pdf", BlockKind.QUOTE)
    # Over the end of a page and the footnote there.
    assert any(
        quote.startswith(
            "“(1) The Signatory States shall have equal rights to the use of runoff originating in"
        )
        and quote.endswith("(CFS)].”³ Id., at 25.") is False
        and "undesignated water" in quote
        for quote in quotes
    )


def test_a_slip_opinion_in_text_reads_as_paragraphs() -> None:
    opinion = text("scotus/fisher-v-university-of-texas.txt")
    assert "The University of Texas at Austin considers race as one of various factors in its" in opinion
    assert "Cite as: 570 U. S." not in opinion
    assert "Bollinger, 539 U. S. 306 (2003).” Pet. for Cert. i." in opinion


def test_an_appellate_opinion_has_no_stamps_and_keeps_its_footnotes_apart() -> None:
    opinion = read("circuit/calvary-chapel-v-mills.pdf")
    assert "Document: 00117684624" not in opinion.text
    assert "Entry ID" not in opinion.text
    assert not re.search(r"^- \d+ -$", opinion.text, re.MULTILINE)
    notes = of_kind("circuit/calvary-chapel-v-mills.pdf", BlockKind.FOOTNOTE)
    assert notes[0].startswith(
        "1 The Chapel claimed violations of the Free Exercise Clause of the First Amendment"
    )
    assert notes[1].startswith("2 Even if these circumstances qualified as a close call")
    assert len(notes) == 2
    headings = of_kind("circuit/calvary-chapel-v-mills.pdf", BlockKind.HEADING)
    assert {"I. BACKGROUND", "II. ANALYSIS", "III. CONCLUSION"} <= set(headings)
    items = of_kind("circuit/calvary-chapel-v-mills.pdf", BlockKind.NUMBERED)
    assert [item[:21] for item in items] == [f"• Executive Order {order}," for order in (14, 19, 28, 49)]


def test_an_appellate_opinion_in_text_has_headings_and_quotes() -> None:
    name = "circuit/ideal-electronic-v-international-fidelity.txt"
    headings = of_kind(name, BlockKind.HEADING)
    assert {"I. Background", "II. Analysis", "A. Choice of Law", "III. Conclusion"} <= set(headings)
    assert any(
        quote.startswith("[A]n indemnity agreement is not a blank check")
        for quote in of_kind(name, BlockKind.QUOTE)
    )


def test_live_text_under_black_boxes_is_found() -> None:
    layout = read("intake/black-boxes-over-live-text.pdf").layout
    assert [(layout.text[mark.start : mark.end], mark.kind, mark.page) for mark in layout.marks] == [
        ("“No”", "black_box", 1),
        ("“Yes”, but did not disclose all relevant medical history", "black_box", 1),
        ("“No”", "black_box", 1),
    ]
    assert "USDC Colorado" not in layout.text
    assert [block.kind for block in layout.blocks] == [BlockKind.HEADING, *[BlockKind.NUMBERED] * 4]


@pytest.mark.parametrize(
    "name",
    ["scotus/tarrant-v-herrmann.pdf", "circuit/calvary-chapel-v-mills.pdf", "circuit/jagels-v-missouri.pdf"],
)
def test_what_nobody_covered_is_not_told(name: str) -> None:
    assert read(name).layout.marks == ()


@needs_tesseract
def test_a_scan_is_read_and_says_how_surely() -> None:
    scan = read("intake/scanned-no-text-layer.pdf")
    assert "the employer challenges the trial court’s denial of its motion for summary judgment" in scan.text
    assert "Reversed and Remanded" in scan.text
    assert "FILED" not in scan.text
    assert scan.ocr_confidence is not None
    assert 0.85 < scan.ocr_confidence <= 1


def test_a_double_spaced_opinion_keeps_its_headings() -> None:
    assert {"Introduction", "Background"} <= set(text("circuit/jagels-v-missouri.pdf").split("\n\n"))


def test_a_court_filing_in_word_is_read() -> None:
    assert "Characterization of Service Received" in text("intake/indiana-opinion.docx")


def test_an_empty_file_is_refused() -> None:
    with pytest.raises(ExtractionRefused) as refused:
        read("intake/empty.pdf")
    assert refused.value.code == "empty"


def test_a_scan_is_refused_where_nothing_reads_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ExtractionRefused, match="scanned: needs OCR") as refused:
        read("intake/scanned-no-text-layer.pdf")
    assert refused.value.code == "no_text"


@needs_tesseract
def test_maps_at_the_end_of_an_opinion_are_no_text() -> None:
    found = read("scotus/tarrant-v-herrmann.pdf")
    assert found.ocr_confidence is None
    assert not [block for block in found.layout.blocks if block.page > 28]
