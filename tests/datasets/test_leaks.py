"""No model is measured on what it has learnt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.datasets.examples import NewExample
from webapp.datasets.leaks import Placed, Sieve, dedupe, find_leaks, fingerprint

CLOSING = "For these reasons the judgment of the District Court should be affirmed."


def example(completion: str, prompt: str = "Go on.", kind: str = "continue") -> NewExample:
    return NewExample(kind, prompt=prompt, completion=completion)


def test_the_same_words_are_the_same_whatever_was_asked() -> None:
    assert fingerprint(example("It fails, at 539 U. S. 306.")) == fingerprint(
        example("it fails at 539 U.S. 306", prompt="Cite.", kind="cite")
    )
    assert fingerprint(example("It fails.")) != fingerprint(example("It stands."))


def test_ready_made_pairs_may_answer_alike() -> None:
    one, other = (example("Privileged.", prompt=asked, kind="pair") for asked in ("Letter?", "Invoice?"))
    assert fingerprint(one) != fingerprint(other)
    assert fingerprint(one) == fingerprint(example("Privileged.", prompt="letter", kind="pair"))


def test_texts_without_words_are_told_apart() -> None:
    assert fingerprint(example("—")) != fingerprint(example("…"))


def test_a_duplicate_is_left_out_once_and_counted() -> None:
    train, heldout, sieve = dedupe(
        [example("One."), example(CLOSING), example(CLOSING)], [example("Two."), example(CLOSING)]
    )
    assert [kept.completion for kept in train] == ["One.", CLOSING]
    assert [kept.completion for kept in heldout] == ["Two."]
    assert sieve.removed == {"train": 1, "heldout": 1}
    assert (sieve.kept, sieve.copies) == ({"train": 2, "heldout": 1}, 1)


def test_a_few_copies_are_boilerplate() -> None:
    train, heldout = [example(CLOSING)], [example(f"Passage {n}.") for n in range(9)]
    assert dedupe(train, [*heldout, example(CLOSING)])[2].problem == ""


def test_more_are_the_same_documents_twice() -> None:
    train = [example(f"Passage {n}.") for n in range(10)]
    _, _, sieve = dedupe(train, [*train[:4], *(example(f"Other {n}.") for n in range(6))])
    assert sieve.problem.startswith("4 of the 10 held-out examples say the same as training examples: ")


def test_the_training_side_comes_first() -> None:
    sieve = Sieve()
    sieve.keep("heldout", example("One."))
    with pytest.raises(ValueError, match="come first"):
        sieve.keep("train", example("Two."))


def test_a_document_on_both_sides_is_one_sentence() -> None:
    leaks = find_leaks([Placed(example("One."), "a")], [Placed(example("Two."), "a")])
    assert leaks.documents == {"a"}
    assert leaks.problem == "1 document stands on both sides of the split: hold out whole documents."


def test_near_duplicates_on_both_sides_are_one_sentence() -> None:
    leaks = find_leaks([Placed(example("One."), "a", "g")], [Placed(example("Two."), "b", "g")])
    assert not leaks.documents
    assert leaks.groups == {"g"}
    assert leaks.problem.startswith("1 set of near-duplicate documents stands on both sides of the split: ")


def test_examples_on_both_sides_are_counted_and_shown() -> None:
    train = [Placed(example(CLOSING), "a"), Placed(example("One."), "a")]
    heldout = [
        Placed(example(CLOSING.upper()), "b"),
        Placed(example("one"), "b"),
        Placed(example("Two."), "c"),
    ]
    leaks = find_leaks(train, heldout)
    assert leaks.examples == 2
    assert leaks.problem == (
        "2 examples stand on both sides of the split, such as "
        "“FOR THESE REASONS THE JUDGMENT OF THE DISTRICT COURT SHOULD…”: leave them out on one side."
    )


def test_documents_without_a_group_are_not_one_group() -> None:
    leaks = find_leaks([Placed(example("One."), "a")], [Placed(example("Two."), "b")])
    assert not leaks
    assert leaks.problem == ""


sides = st.lists(st.text("ab. ", max_size=4).map(example), max_size=30)


@given(sides, sides)
def test_what_passed_the_sieve_does_not_leak(train: list[NewExample], heldout: list[NewExample]) -> None:
    kept_train, kept_heldout, sieve = dedupe(train, heldout)
    assert not find_leaks(map(Placed, kept_train), map(Placed, kept_heldout))
    assert len(kept_train) + sieve.removed["train"] == len(train)
    assert len(kept_heldout) + sieve.removed["heldout"] == len(heldout)
    told = [fingerprint(kept) for kept in (*kept_train, *kept_heldout)]
    assert len(told) == len(set(told))
    assert set(told) == {fingerprint(each) for each in (*train, *heldout)}
