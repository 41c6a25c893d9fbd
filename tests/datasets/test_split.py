"""Every document is on one side, the same one each time."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.datasets.split import split_by_document

ids = st.lists(st.uuids().map(str), unique=True, max_size=40)
shares = st.floats(0, 0.99)


@given(ids, shares, st.integers())
def test_the_same_seed_gives_the_same_split_in_any_order(ids: list[str], share: float, seed: int) -> None:
    shuffled = random.Random(seed).sample(ids, len(ids))
    assert split_by_document(ids, share, seed) == split_by_document(shuffled, share, seed)


@given(ids, shares, st.integers())
def test_two_or_more_documents_stand_on_both_sides(ids: list[str], share: float, seed: int) -> None:
    sides = split_by_document(ids, share, seed)
    assert set(sides) == set(ids)
    if len(ids) >= 2:
        assert set(sides.values()) == {"train", "heldout"}


def test_a_single_document_is_learnt_from() -> None:
    assert split_by_document(["only"], 0.5, 0) == {"only": "train"}


def test_the_share_is_kept_where_it_can_be() -> None:
    assert list(split_by_document(range(100), 0.1, 7).values()).count("heldout") == 10


def test_another_seed_gives_another_split() -> None:
    assert split_by_document(range(100), 0.5, 1) != split_by_document(range(100), 0.5, 2)


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_it_refuses_a_share_that_leaves_nothing_to_learn_from(share: float) -> None:
    with pytest.raises(ValueError, match="held-out share"):
        split_by_document(["a", "b"], share, 0)
