"""Real court documents, where the checkout has them beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from workers.extraction import ExtractionRefused
from workers.extraction.sandbox import extract_in_child

SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "samples"

pytestmark = [
    pytest.mark.samples,
    pytest.mark.skipif(not SAMPLES.is_dir(), reason="no sample documents beside this checkout"),
]


def text(name: str) -> str:
    return extract_in_child(SAMPLES / name, name).text


def test_a_slip_opinion_in_pdf_reads_as_paragraphs() -> None:
    opinion = text("scotus/tarrant-v-herrmann.pdf")
    assert "It follows, then, that “[i]f any inference at all is to be drawn from” silence" in opinion
    assert "regulate the activities of her own citizens.” Virginia v. Maryland, 540 U. S. 56, 67." in opinion
    assert opinion.count("Cite as: 569 U. S.") <= 1


def test_a_slip_opinion_in_text_reads_as_paragraphs() -> None:
    opinion = text("scotus/fisher-v-university-of-texas.txt")
    assert "The University of Texas at Austin considers race as one of various factors in its" in opinion
    assert opinion.count("Cite as: 570 U. S.") <= 1


def test_a_double_spaced_opinion_keeps_its_headings() -> None:
    assert {"Introduction", "Background"} <= set(text("circuit/jagels-v-missouri.pdf").split("\n\n"))


def test_a_court_filing_in_word_is_read() -> None:
    assert "Characterization of Service Received" in text("intake/indiana-opinion.docx")


@pytest.mark.parametrize(
    ("name", "code"), [("intake/empty.pdf", "empty"), ("intake/scanned-no-text-layer.pdf", "no_text")]
)
def test_what_cannot_be_read_is_refused(name: str, code: str) -> None:
    with pytest.raises(ExtractionRefused) as refused:
        text(name)
    assert refused.value.code == code
