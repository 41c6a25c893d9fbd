"""Passages follow paragraphs: nothing is lost, moved or cut in the wrong place."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from webapp.citations import find_citations, whole_spans
from webapp.datasets import chunks
from webapp.datasets.chunks import Passage, passages
from webapp.datasets.paragraphs import is_heading
from webapp.datasets.sentences import sentence_starts
from webapp.documents.layout import Block, BlockKind, Layout

MAX = 60


def count(text: str) -> int:
    """Words, as the simplest of tokenisers."""
    return len(text.split())


def cut(blocks: list[Block], max_tokens: int = MAX) -> list[Passage]:
    return passages(blocks, max_tokens=max_tokens, count_tokens=count)


def paragraph(text: str) -> Block:
    return Block(BlockKind.PARAGRAPH, text)


def heading(text: str, level: int = 1) -> Block:
    return Block(BlockKind.HEADING, text, level=level)


def words(n: int) -> str:
    return " ".join(["word"] * (n - 1) + ["end."])


CITED = "Grutter v. Bollinger, 539 U. S. 306, 325-326 (2003)"
sentences = st.one_of(
    st.integers(1, 25).map(lambda n: "The " + "rule " * n + "stands."),
    st.just(f"See {CITED}."),
    st.just("Id., at 330."),
    st.just("A claim lies under 42 U. S. C. §1983. See Fed. Rule Civ. Proc. 12(b)(6)."),
    st.just("He said: “We do not agree. Nor will we pay. That is all.”"),
    st.just("Mr. Smith, e.g., left at 5 p.m. on Friday."),
)
texts = st.lists(sentences, min_size=1, max_size=12).map(" ".join)
blocks_of_any_kind = st.lists(
    st.one_of(
        texts.map(paragraph),
        texts.map(lambda text: Block(BlockKind.QUOTE, text)),
        texts.map(lambda text: Block(BlockKind.NUMBERED, f"12. {text}")),
        texts.map(lambda text: Block(BlockKind.FOOTNOTE, f"1 {text}")),
        st.integers(1, 3).map(lambda level: heading(f"Part {level}", level)),
    ),
    max_size=12,
)
documents = st.tuples(blocks_of_any_kind, st.integers(20, 80))


def body_words(blocks: list[Block]) -> list[str]:
    return [word for block in blocks if block.kind != BlockKind.FOOTNOTE for word in block.text.split()]


@given(documents)
@settings(max_examples=80, deadline=None)
def test_no_word_is_lost_or_moved(document: tuple[list[Block], int]) -> None:
    blocks, most = document
    made = cut(blocks, most)
    assert [word for passage in made for word in passage.text.split()] == body_words(blocks)
    assert all(passage.tokens == count(passage.body) == passage.words for passage in made)


@given(texts, st.integers(10, 80))
@settings(max_examples=80, deadline=None)
def test_no_citation_sentence_or_quotation_is_cut(text: str, most: int) -> None:
    made = cut([paragraph(text)], most)
    assert all(passage.body.count("“") == passage.body.count("”") for passage in made)
    assert sum(passage.body.count(CITED) for passage in made) == text.count(CITED)
    assert sum(passage.body.count("42 U. S. C. §1983") for passage in made) == text.count("§1983")
    assert sum(passage.body.count("Id., at 330") for passage in made) == text.count("Id., at 330")
    starts, at = {0, *sentence_starts(text)}, 0
    for passage in made:
        at = text.index(passage.body, at)
        assert at in starts
        assert not any(start < at < end for start, end in whole_spans(text, find_citations(text)))
        at += len(passage.body)


@given(documents)
@settings(max_examples=80, deadline=None)
def test_only_a_long_sentence_or_quotation_is_over_the_maximum(document: tuple[list[Block], int]) -> None:
    blocks, most = document
    for passage in cut(blocks, most):
        if passage.tokens > most:
            (part,) = passage.parts
            quoted = part.kind == BlockKind.QUOTE or "“" in part.text
            edges = [0, *sentence_starts(part.text), len(part.text)]
            longest = max(count(part.text[start:end]) for start, end in pairwise(edges))
            assert quoted or longest > most or _one_citation(part.text)


def _one_citation(text: str) -> bool:
    """Whether every sentence's end within `text` is inside a citation."""
    spans = whole_spans(text, find_citations(text))
    return all(any(a < at < b for a, b in spans) for at in sentence_starts(text))


@given(texts, st.integers(10, 80))
@settings(max_examples=60, deadline=None)
def test_a_passage_knows_its_citations(text: str, most: int) -> None:
    assume("§" in text or CITED in text)
    made = cut([paragraph(text), paragraph(text)], most)
    for passage in made:
        for citation in passage.citations:
            assert passage.body[citation.start : citation.end] == citation.printed
    printed = [citation.printed for passage in made for citation in passage.citations]
    assert printed == [citation.printed for citation in find_citations(text)] * 2


def test_short_paragraphs_come_together() -> None:
    made = cut([paragraph(words(9)) for _ in range(6)])
    assert [len(passage.parts) for passage in made] == [3, 3]


def test_a_paragraph_is_not_cut_to_fill_a_passage() -> None:
    assert [p.tokens for p in cut([paragraph(words(15)), paragraph(words(50))])] == [15, 50]


def test_a_long_paragraph_is_cut_into_even_pieces() -> None:
    sizes = [passage.tokens for passage in cut([paragraph(" ".join([words(10)] * 8))])]
    assert sizes == [40, 40]


def test_a_paragraph_keeps_its_number() -> None:
    first, _ = cut([Block(BlockKind.NUMBERED, f"12. {words(70)} {words(20)}")])
    assert first.body == f"12. {words(70)}"


def test_a_block_quote_stays_whole_however_long() -> None:
    (passage,) = cut([Block(BlockKind.QUOTE, " ".join([words(10)] * 20))])
    assert passage.tokens == 200


def test_a_sentence_stays_whole_however_long() -> None:
    before, long, after = cut([paragraph(f"{words(40)} {words(100)} {words(40)}")])
    assert (before.tokens, long.tokens, after.tokens) == (40, 100, 40)


def test_a_quotation_mark_without_its_partner_is_no_quotation() -> None:
    text = " ".join(["“" + words(20), *[words(20)] * 5])
    assert len(cut([paragraph(text)])) > 1


def test_footnotes_are_left_out() -> None:
    (passage,) = cut([paragraph(words(30)), Block(BlockKind.FOOTNOTE, "1 See the lease.")])
    assert passage.body == words(30)


def test_a_passage_knows_the_headings_over_it() -> None:
    blocks = [
        heading("ARGUMENT"),
        heading("A. Notice", 2),
        paragraph(words(40)),
        paragraph(words(40)),
        heading("B. Waiver", 2),
        paragraph(words(40)),
        heading("CONCLUSION"),
        paragraph(words(40)),
    ]
    made = cut(blocks)
    assert [passage.path for passage in made] == [
        ("ARGUMENT", "A. Notice"),
        ("ARGUMENT", "A. Notice"),
        ("ARGUMENT", "B. Waiver"),
        ("CONCLUSION",),
    ]
    assert [passage.headings for passage in made] == [
        ("ARGUMENT", "A. Notice"),
        (),
        ("B. Waiver",),
        ("CONCLUSION",),
    ]


def test_a_section_too_short_for_a_passage_goes_on_into_the_next() -> None:
    (passage,) = cut([heading("I"), paragraph(words(10)), heading("II"), paragraph(words(30))])
    assert passage.body == f"{words(10)}\n\nII\n\n{words(30)}"
    assert passage.path == ("I",)


def test_a_heading_never_ends_a_passage() -> None:
    first, second = cut([paragraph(words(15)), heading("II"), paragraph(words(50))])
    assert (first.body, second.heading, second.path) == (words(15), "II", ("II",))


def test_a_signature_stays_with_what_it_signs() -> None:
    assert len(cut([paragraph(words(40)), paragraph("Yours faithfully,")])) == 1


def test_plain_text_has_headings_too() -> None:
    layout = Layout.of_text(f"I. Facts\n\n{words(40)}\n\nII. Argument\n\n{words(40)}")
    assert [passage.heading for passage in cut(list(layout.blocks))] == ["I. Facts", "II. Argument"]


def test_a_long_list_of_short_lines_is_not_one_heading() -> None:
    made = cut(list(Layout.of_text("\n\n".join(["Item of the inventory"] * 100)).blocks))
    assert all(0 < passage.tokens <= MAX for passage in made)


def test_nothing_gives_no_passage() -> None:
    assert cut([]) == cut([paragraph(" ")]) == []


def test_a_text_of_nothing_but_citations_is_cut_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "MAX_CITATIONS", 25)
    blocks = [paragraph(" ".join([f"See {CITED}."] * 10)) for _ in range(4)]
    made = cut(blocks)
    assert [word for passage in made for word in passage.text.split()] == body_words(blocks)
    assert [passage.read for passage in made][:1] == [True]
    assert [passage.read for passage in made][-1:] == [False]
    assert all(not passage.citations for passage in made if not passage.read)


def test_a_heading_is_short_and_no_sentence() -> None:
    assert all(map(is_heading, ["I. Facts", "ARGUMENT", "A. No contract was formed", "2 Jurisdiction"]))
    assert not any(map(is_heading, ["It was so held.", "Dear Sir,", "See:", "“Was it so held?”"]))
