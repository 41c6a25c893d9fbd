"""A lawyer's outline, then the section."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.datasets.examples.making import ABOUT, CITING, PLAIN, cut, heading, paragraph, quote
from webapp.datasets.examples import NewExample, build_examples, draft
from webapp.datasets.paragraphs import paragraphs
from webapp.demo.make_files import FIRMS
from webapp.documents.layout import Block, Layout

BRIEF = "The tenant paid the rent without complaint."


def pair(*blocks: Block) -> NewExample | None:
    *_, passage = cut(*blocks)
    return draft.make(passage, None, ABOUT)


def test_the_prompt_is_an_outline_of_the_section() -> None:
    example = pair(heading("ARGUMENT"), heading("II. The motion fails", 2), paragraph(CITING))
    assert example is not None
    assert example.kind == "draft"
    assert example.prompt.splitlines() == [
        "Draft the section “II. The motion fails” of a brief in our house style from these points:",
        "- motion fails record shows no contact forum claim arise "
        "(Grutter v. Bollinger, 539 US 306, 325 (2003))",
        "- not close defendant knows much",
        "- plaintiff told March 3, 2020 paid $4,500 all same",
    ]
    assert example.completion == CITING


def test_the_second_passage_of_a_section_goes_on_with_it() -> None:
    example = pair(heading("I. Facts"), paragraph(CITING * 2), paragraph(PLAIN * 2))
    assert example is not None
    assert example.prompt.startswith("Draft the next part of the section “I. Facts” of a brief")


def test_quotations_are_not_given_away() -> None:
    example = pair(heading("I"), paragraph(f"The Court said: “No tenant may stay.” {PLAIN}"))
    assert example is not None
    assert "tenant may" not in example.prompt


def test_every_paragraph_has_its_points() -> None:
    example = pair(heading("I"), paragraph(BRIEF), paragraph(CITING))
    assert example is not None
    assert "\n- tenant paid rent without complaint\n- motion fails" in example.prompt


@pytest.mark.parametrize(
    "blocks",
    [
        [paragraph(CITING)],
        [heading("I"), paragraph("It was so held, and so it stands today.")],
        [heading("I"), paragraph("The Court said this:"), quote(PLAIN)],
        [heading("I"), paragraph("It is so."), heading("II"), paragraph(PLAIN)],
    ],
    ids=["no heading", "too short", "a block quote", "a heading within"],
)
def test_what_no_outline_can_tell_gives_no_pair(blocks: list[Block]) -> None:
    assert pair(*blocks) is None


def test_an_outline_that_tells_the_answer_gives_no_pair() -> None:
    dense = [
        f"Tenant{n} paid landlord{n} rent{n} before March {n}, 2020 without complaint{n}."
        for n in range(1, 6)
    ]
    assert pair(heading("I"), paragraph(" ".join(dense))) is None


DEMO = sorted(path for path in FIRMS.glob("*/*") if path.suffix in {".md", ".txt"})


@pytest.mark.parametrize("path", DEMO, ids=lambda path: path.stem)
def test_no_outline_of_the_demo_firms_gives_the_section_away(path: Path) -> None:
    blocks = Layout.of_text("\n\n".join(paragraphs(path.read_text(encoding="utf-8")))).blocks
    made = build_examples(
        blocks, title=path.name, kinds=["draft"], max_tokens=300, count_tokens=lambda text: len(text) // 4
    )
    assert made
    for example in made:
        assert draft.overlap(example.prompt, example.completion) <= draft.OVERLAP
        assert example.completion not in example.prompt
        assert max(map(len, example.prompt.splitlines())) < 400


sentences = st.sampled_from([*CITING.replace(". ", ".|").split("|"), *PLAIN.replace(". ", ".|").split("|")])


@given(st.lists(st.lists(sentences, min_size=1, max_size=6).map(" ".join), min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_no_outline_is_its_own_answer(texts: list[str]) -> None:
    for passage in cut(heading("I. Facts"), *map(paragraph, texts)):
        if example := draft.make(passage, None, ABOUT):
            assert draft.overlap(example.prompt, example.completion) <= draft.OVERLAP
            assert example.completion == passage.body


def test_overlap_counts_runs_of_words() -> None:
    assert draft.overlap("one two three", "One, two, three four") == 0.5
    assert draft.overlap("a b c", "x y z") == draft.overlap("a", "b") == 0
    assert draft.overlap(json.dumps(CITING), CITING) == 1
