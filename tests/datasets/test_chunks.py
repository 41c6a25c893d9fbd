"""Passages: no word lost, no citation cut."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from webapp.datasets.chunks import MAX_WORDS, MIN_WORDS, is_heading, passages

CITATIONS = ["539 U. S. 306", "644 F.3d 301", "42 U.S.C. § 1983", "Fed. R. Civ. P. 56(a)", "550 U.S. at 570"]
WORDS = [
    "the",
    "court",
    "held",
    "that",
    "notice",
    "fails.",
    "§§ 2-4",
    *(f"in {citation};" for citation in CITATIONS),
]
words = st.lists(st.sampled_from(WORDS), min_size=1, max_size=90)
texts = st.lists(words.map(" ".join) | st.sampled_from(["I. Facts", "ARGUMENT"]), max_size=8).map("\n\n".join)


def sentence(words: int) -> str:
    return " ".join(["Word"] * (words - 1)) + " ends."


@given(texts)
@settings(max_examples=40, deadline=None)
def test_no_word_is_lost_or_moved(text: str) -> None:
    cut = passages(text, min_words=12, max_words=25)
    assert " ".join(passage.text for passage in cut).split() == text.split()


@given(texts)
@settings(max_examples=25, deadline=None)
def test_no_citation_is_cut(text: str) -> None:
    cut = passages(text, min_words=12, max_words=25)
    for citation in CITATIONS:
        assert sum(passage.text.count(citation) for passage in cut) == text.count(citation)


def test_short_paragraphs_are_gathered_up_to_the_target() -> None:
    sizes = [len(p.text.split()) for p in passages("\n\n".join([sentence(50)] * 12))]
    assert sizes == [100] * 6
    assert all(MIN_WORDS <= size <= MAX_WORDS for size in sizes)


def test_a_long_paragraph_is_cut_at_sentence_ends_only() -> None:
    text = " ".join(
        ["It was held in Smith v. Jones, 644 F. 3d 301, that the notice of Acme Inc. Had failed."] * 40
    )
    cut = passages(text)
    assert len(cut) > 1
    assert all(passage.text.startswith("It was held") and passage.text.endswith("failed.") for passage in cut)


def test_a_heading_opens_the_passage_that_follows_it() -> None:
    text = "\n\n".join(["I. Facts", sentence(130), "II. Argument", "A. Notice", sentence(130)])
    first, second = passages(text)
    assert (first.heading, second.heading) == ("I. Facts", "II. Argument\n\nA. Notice")


def test_a_long_list_of_short_lines_is_not_one_passage() -> None:
    assert all(
        len(p.text.split()) <= MAX_WORDS for p in passages("\n\n".join(["Item of the inventory"] * 400))
    )


def test_a_signature_stays_with_what_it_signs() -> None:
    assert len(passages(sentence(130) + "\n\nYours faithfully,")) == 1


def test_nothing_gives_no_passage() -> None:
    assert passages("") == passages(" \n\n ") == []


def test_a_heading_is_short_and_no_sentence() -> None:
    assert all(map(is_heading, ["I. Facts", "ARGUMENT", "A. No contract was formed", "2 Jurisdiction"]))
    assert not any(map(is_heading, ["It was so held.", "Dear Sir,", "See:", "“Was it so held?”"]))
