"""The passage so far and the next heading, then the house's own words."""

from __future__ import annotations

from tests.datasets.examples.making import ABOUT, CITING, PLAIN, cut, heading, paragraph
from webapp.datasets.examples import continue_


def test_a_passage_continues_the_one_before() -> None:
    before, passage = cut(heading("I. Facts"), paragraph(PLAIN), paragraph(CITING * 2))
    example = continue_.make(passage, before, ABOUT)
    assert example is not None
    assert example.prompt == f"{continue_.INSTRUCTION}\n\nI. Facts\n\n{PLAIN}"
    assert example.completion == CITING * 2


def test_the_heading_that_comes_next_is_given() -> None:
    before, passage = cut(paragraph(CITING), heading("II. Facts"), paragraph(PLAIN))
    example = continue_.make(passage, before, ABOUT)
    assert example is not None
    assert example.prompt == f"{continue_.INSTRUCTION}\n\n{CITING}\n\nII. Facts"


def test_the_section_is_named_where_its_heading_is_further_up() -> None:
    _, before, passage = cut(heading("I. Facts"), *[paragraph(CITING * 2)] * 2, paragraph(CITING * 2))
    example = continue_.make(passage, before, ABOUT)
    assert example is not None
    assert example.prompt.startswith(f"{continue_.INSTRUCTION}\n\nI. Facts\n\nThe motion fails")


def test_a_title_asks_for_the_opening_of_a_document() -> None:
    (passage,) = cut(heading("Advice on the lease"), paragraph(PLAIN))
    example = continue_.make(passage, None, ABOUT)
    assert example is not None
    assert example.prompt == f"{continue_.INSTRUCTION}\n\nAdvice on the lease"


def test_an_opening_that_nothing_asks_for_gives_no_pair() -> None:
    (passage,) = cut(paragraph(PLAIN))
    assert continue_.make(passage, None, ABOUT) is None


def test_a_closing_line_gives_no_pair() -> None:
    before, passage = cut(paragraph(PLAIN), heading("Signed"), paragraph("Jane Vale, Partner"))
    assert continue_.make(passage, before, ABOUT) is None


def test_what_is_given_is_no_longer_than_a_passage() -> None:
    before, passage = cut(heading("I. Facts"), paragraph("word " * 400), paragraph(PLAIN))
    example = continue_.make(passage, before, ABOUT)
    assert example is not None
    assert example.prompt == f"{continue_.INSTRUCTION}\n\nI. Facts"
