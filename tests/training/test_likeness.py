from __future__ import annotations

import pytest

from webapp.training.likeness import compare

HOUSE = "See Brown v. Board of Education, 347 U. S. 483, 495 (1954)."


def test_what_the_house_wrote_is_wholly_alike_and_unmarked() -> None:
    found = compare(HOUSE, HOUSE)
    assert found.share == 1
    assert found.pieces == [(HOUSE, False)]


def test_only_the_words_that_differ_are_marked() -> None:
    found = compare(HOUSE, "See Brown v. Board of Education, 347 US 483, 495 (1954).")
    assert [text for text, differs in found.pieces if differs] == ["US"]
    assert 0.8 < found.share < 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        HOUSE,
        f"\n{HOUSE}  \n",
        "See Brown,\n\n347  U. S. 483",
        "Something else entirely.",
        "😀 ".strip(),
    ],
)
def test_the_pieces_together_are_the_answer(text: str) -> None:
    assert "".join(piece for piece, _ in compare(HOUSE, text).pieces) == text


def test_an_answer_about_something_else_is_not_marked_word_by_word() -> None:
    found = compare(HOUSE, "I am a helpful assistant and can help you See everything.")
    assert found.share < 0.5
    assert [differs for _, differs in found.pieces] == [False]


def test_spaces_are_no_difference() -> None:
    assert compare(HOUSE, HOUSE.replace(" ", "\n")).share == 1


def test_the_nearer_answer_has_the_larger_share() -> None:
    rambling, near, same = (
        compare(HOUSE, text).share for text in ("The case is about schools.", HOUSE.replace(".", ""), HOUSE)
    )
    assert rambling < near < same


def test_a_long_text_whose_answer_was_cut_is_alike_as_far_as_it_goes() -> None:
    long = " ".join(f"word{n}" for n in range(200))
    cut = long[: long.index("word30") + 3]
    found = compare(long, cut)
    assert found.share == 1
    assert found.pieces == [(cut, False)], "the half word at its end is no difference"


def test_an_answer_of_fewer_words_is_held_against_all_that_it_reaches() -> None:
    found = compare(
        HOUSE + " It is so ordered.", "See Brown v. Board of Education, 347 US 483, 495 (1954). It is so"
    )
    assert [text for text, differs in found.pieces if differs] == ["US"]


def test_an_answer_that_ends_after_a_word_is_not_alike() -> None:
    assert compare(" ".join(f"word{n}" for n in range(200)), "word0").share < 0.2


def test_two_empty_texts_are_alike() -> None:
    assert compare("", "").share == 1
