"""A passage with its citations in neutral form, and as the house printed it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.datasets.examples.making import ABOUT, CITING, PLAIN, cut, heading, paragraph
from webapp.citations import COURT, to_house_form, to_neutral_form
from webapp.datasets import chunks
from webapp.datasets.chunks import Passage
from webapp.datasets.examples import NewExample, cite


def pair(passage: Passage) -> NewExample | None:
    return cite.make(passage, None, ABOUT)


def test_the_prompt_is_the_passage_with_neutral_citations() -> None:
    example = pair(cut(paragraph(CITING))[0])
    assert example is not None
    assert example.kind == "cite"
    assert example.prompt == f"{cite.INSTRUCTION}\n\n{to_neutral_form(CITING)}"
    assert "539 US 306, 325 (2003)" in example.prompt and "Id at 326" in example.prompt
    assert example.completion == CITING


def test_both_houses_are_asked_the_same_and_answer_differently() -> None:
    court = pair(cut(paragraph(CITING))[0])
    bluebook = pair(cut(paragraph(CITING.replace("U. S.", "U.S.").replace("Id., at", "Id. at")))[0])
    assert court is not None and bluebook is not None
    assert court.prompt == bluebook.prompt
    assert court.completion != bluebook.completion


def test_headings_are_no_part_of_it() -> None:
    example = pair(cut(heading("ARGUMENT"), paragraph(CITING))[0])
    assert example is not None
    assert "ARGUMENT" not in example.prompt + example.completion


@pytest.mark.parametrize("text", [PLAIN, f"{PLAIN} See, e. g., the lease.", to_neutral_form(CITING)])
def test_a_passage_that_no_house_would_print_its_own_way_gives_no_pair(text: str) -> None:
    assert pair(cut(paragraph(text))[0]) is None


def test_citations_that_were_not_looked_for_give_no_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "MAX_CITATIONS", 1)
    assert pair(cut(paragraph(CITING))[0]) is None


@given(st.lists(st.sampled_from([CITING, PLAIN, "Ibid. 42 U. S. C. §1983."]), min_size=1, max_size=5))
@settings(max_examples=30, deadline=None)
def test_a_house_that_prints_as_the_court_does_gets_its_own_words_back(texts: list[str]) -> None:
    for passage in cut(*map(paragraph, texts)):
        if example := pair(passage):
            asked = example.prompt.removeprefix(f"{cite.INSTRUCTION}\n\n")
            assert to_house_form(asked, COURT) == example.completion == passage.body
            assert to_neutral_form(asked) == asked
