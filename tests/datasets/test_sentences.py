"""Sentences end where a lawyer reads their end."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webapp.citations import find_citations
from webapp.datasets.sentences import WINDOW, cuttable, sentence_starts


def sentences(text: str, edges: list[int]) -> list[str]:
    return [text[a:b].strip() for a, b in itertools.pairwise([0, *edges, len(text)])]


SENTENCES = [
    "See Grutter v. Bollinger, 539 U. S. 306, 325 (2003).",
    "The motion, filed under Fed. R. Civ. P. 12(b)(6), fails.",
    "Id., at 326.",
    "Mr. Smith of Acme, Inc. left at 5 p.m. on Friday.",
    "“It is so ordered.”",
    "A claim lies under 42 U.S.C. § 1983.",
    "Was it so held?",
]


@given(st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=10))
@settings(deadline=None)
def test_abbreviations_end_no_sentence(said: list[str]) -> None:
    text = " ".join(said)
    assert sentences(text, sentence_starts(text)) == said


def test_a_long_text_is_read_like_its_parts() -> None:
    said = random.Random(3).choices(SENTENCES, k=8_000)
    text = " ".join(said)
    assert len(text) > 2 * WINDOW
    assert sentences(text, sentence_starts(text)) == said


@pytest.mark.parametrize("text", ["", "a" * 3 * WINDOW, "word " * WINDOW])
def test_a_text_without_an_end_is_one_sentence(text: str) -> None:
    assert sentence_starts(text) == []


def test_a_quotation_is_not_cut() -> None:
    text = 'He wrote: “No. We do not agree.” Then he left. She said: "Stay. Please." He went.'
    assert sentences(text, cuttable(text, [])) == [
        "He wrote: “No. We do not agree.”",
        "Then he left.",
        'She said: "Stay. Please."',
        "He went.",
    ]


def test_a_citation_is_not_cut() -> None:
    text = "It fails. Roe v. Wade, 410 U. S. 113, 120 (1973) (so holding. It did.). So ordered."
    assert "Roe v. Wade, 410 U. S. 113, 120 (1973) (so holding. It did.)." in sentences(
        text, cuttable(text, find_citations(text))
    )


def test_a_paragraphs_number_stays_with_it() -> None:
    text = "12. The tenant left. The rent was due."
    assert sentences(text, cuttable(text, [])) == ["12. The tenant left.", "The rent was due."]
