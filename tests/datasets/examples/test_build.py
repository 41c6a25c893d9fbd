"""From a document to examples: every passage once, and no one-sided mix."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.datasets.examples.making import CITING, PLAIN, build, cut, heading, paragraph, quote
from webapp.datasets.examples import continue_
from webapp.documents.layout import Block, BlockKind

blocks_of_any_kind = st.lists(
    st.one_of(
        st.sampled_from([CITING, PLAIN, CITING + " " + PLAIN]).map(paragraph),
        st.just(quote(PLAIN)),
        st.sampled_from(["I. Facts", "ARGUMENT"]).map(heading),
        st.just(Block(BlockKind.FOOTNOTE, "1 See the lease.")),
    ),
    max_size=15,
)


@given(blocks_of_any_kind)
@settings(max_examples=60, deadline=None)
def test_each_passage_is_a_completion_at_most_once(blocks: list[Block]) -> None:
    bodies = Counter(passage.body for passage in cut(*blocks))
    completions = Counter(example.completion for example in build(*blocks))
    assert completions <= bodies


@given(blocks_of_any_kind)
@settings(max_examples=30, deadline=None)
def test_the_same_blocks_give_the_same_examples(blocks: list[Block]) -> None:
    assert build(*blocks) == build(*blocks)


def test_the_mix_is_not_one_sided_and_most_of_it_cites() -> None:
    kinds = Counter(example.kind for example in build(heading("I. Argument"), *[paragraph(CITING)] * 36))
    assert kinds["cite"] > kinds["draft"] + kinds["continue"]
    assert min(kinds["draft"], kinds["continue"]) >= 2


def test_passages_without_citations_go_to_the_other_kinds_in_turn() -> None:
    kinds = Counter(example.kind for example in build(heading("I. Facts"), *[paragraph(PLAIN * 2)] * 10))
    assert kinds == {"draft": 5, "continue": 5}


def test_only_the_kinds_asked_for_are_made() -> None:
    blocks = [heading("I. Argument"), *[paragraph(CITING)] * 9]
    for kind in ("cite", "draft", "continue"):
        assert {example.kind for example in build(*blocks, kinds=[kind])} == {kind}
    assert build(*blocks, kinds=["pair", "chat"]) == []


def test_the_kind_named_first_gets_the_first_passage() -> None:
    blocks = [heading("I. Argument"), paragraph(CITING)]
    for first in ("cite", "draft", "continue"):
        rest = {"cite", "draft", "continue"} - {first}
        assert build(*blocks, kinds=[first, *sorted(rest)])[0].kind == first


def test_the_type_of_the_document_is_told_from_its_title() -> None:
    (example,) = build(heading("I. Facts"), paragraph(PLAIN * 2), kinds=["draft"], title="02-letter.docx")
    assert "of a letter in our house style" in example.prompt


def test_a_quotation_far_over_the_maximum_makes_no_example() -> None:
    before, after = build(
        heading("I"), paragraph(PLAIN * 2), quote(PLAIN * 12), heading("II"), paragraph(PLAIN * 2)
    )
    assert before.completion == after.completion == PLAIN * 2
    assert after.prompt == f"{continue_.INSTRUCTION}\n\nII"


def test_a_text_with_nothing_to_learn_from_gives_no_example() -> None:
    assert build() == build(paragraph("A short letter without any citation.")) == []
