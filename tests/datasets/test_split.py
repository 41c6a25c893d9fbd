"""Every document is on one side, the same one each time, and its near-duplicates with it."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.datasets.split import split_by_group

Groups = dict[str, int | None]
groups = st.dictionaries(st.uuids().map(str), st.none() | st.integers(0, 5), max_size=40)
shares = st.floats(0, 0.99)


def together(groups: Groups) -> int:
    """How many things there are to put on a side."""
    named = {group for group in groups.values() if group is not None}
    return len(named) + sum(group is None for group in groups.values())


@given(groups, shares, st.integers())
def test_the_same_seed_gives_the_same_split_in_any_order(groups: Groups, share: float, seed: int) -> None:
    shuffled = dict(random.Random(seed).sample(list(groups.items()), len(groups)))
    assert split_by_group(groups, share, seed) == split_by_group(shuffled, share, seed)


@given(groups, shares, st.integers())
def test_near_duplicates_are_on_one_side(groups: Groups, share: float, seed: int) -> None:
    sides = split_by_group(groups, share, seed)
    for group in set(groups.values()) - {None}:
        assert len({sides[id] for id, own in groups.items() if own == group}) == 1


@given(groups, shares, st.integers())
def test_both_sides_have_documents_where_there_is_a_choice(groups: Groups, share: float, seed: int) -> None:
    sides = split_by_group(groups, share, seed)
    assert set(sides) == set(groups)
    if together(groups) >= 2:
        assert set(sides.values()) == {"train", "heldout"}
    else:
        assert set(sides.values()) <= {"train"}


@given(groups, shares, st.integers(), st.integers(1, 99))
def test_what_a_group_is_called_does_not_matter(groups: Groups, share: float, seed: int, by: int) -> None:
    renamed = {id: None if group is None else group + by for id, group in groups.items()}
    assert split_by_group(groups, share, seed) == split_by_group(renamed, share, seed)


@pytest.mark.parametrize("share", [0.05, 0.1, 0.15, 0.5])
def test_the_share_is_kept_where_it_can_be(share: float) -> None:
    sides = split_by_group(dict.fromkeys(range(100)), share, 7)
    assert list(sides.values()).count("heldout") == round(share * 100)


def test_a_large_group_is_learnt_from_rather_than_held_out() -> None:
    groups = {n: "drafts" if n < 90 else None for n in range(100)}
    assert list(split_by_group(groups, 0.1, 3).values()).count("heldout") == 10


def test_a_single_document_is_learnt_from() -> None:
    assert split_by_group({"only": None}, 0.5, 0) == {"only": "train"}


def test_another_seed_gives_another_split() -> None:
    ids = dict.fromkeys(range(100))
    assert split_by_group(ids, 0.5, 1) != split_by_group(ids, 0.5, 2)


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_it_refuses_a_share_that_leaves_nothing_to_learn_from(share: float) -> None:
    with pytest.raises(ValueError, match="held-out share"):
        split_by_group({"a": None, "b": None}, share, 0)
