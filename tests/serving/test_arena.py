"""Who gets which part of the adapters' memory, and what must leave or move for it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.serving.adapters import write_adapter
from workers.serving.about_base import AboutBase
from workers.serving.adapter_file import read_adapter
from workers.serving.arena import Range, Room, find_room, move
from workers.serving.config import LlamaConfig
from workers.serving.lora import numbers_needed, place

TOTAL = 100


@st.composite
def layouts(draw: st.DrawFn) -> list[Range]:
    """Ranges anywhere in the arena with gaps between them, some fixed, each used at a time of its own."""
    edges = sorted(draw(st.sets(st.integers(0, TOTAL), max_size=24)))
    pairs = list(zip(edges[::2], edges[1::2], strict=False))
    uses = draw(st.permutations(range(len(pairs))))
    return [
        Range(start, end - start, draw(st.booleans()), used)
        for (start, end), used in zip(pairs, uses, strict=True)
    ]


def apply(room: Room, taken: list[Range], size: int) -> list[Range]:
    """What is taken afterwards; moves are made one after the other, as numbers would be."""
    assert not any(one.fixed for one in (*room.evict, *(one for one, _ in room.move)))
    left = [one for one in taken if one not in room.evict]
    assert all(one.end <= room.start + size for one, _ in room.move)
    for one, start in room.move:
        others = [other for other in left if other is not one]
        assert all(start + one.size <= other.start or other.end <= start for other in others)
        one.start = start
    assert room.start + size <= TOTAL
    assert all(one.end <= room.start or room.start + size <= one.start for one in left)
    return [*left, Range(room.start, size)]


@settings(max_examples=300, deadline=None)
@given(layouts(), st.integers(1, TOTAL))
def test_room_is_where_nobody_is_and_nothing_fixed_is_touched(taken: list[Range], size: int) -> None:
    room = find_room(TOTAL, taken, size)
    if room is None:
        ends = sorted([(0, 0), (TOTAL, TOTAL), *((one.start, one.end) for one in taken if one.fixed)])
        assert all(after[0] - before[1] < size for before, after in pairwise(ends))
    else:
        assert len(apply(room, taken, size)) == len(taken) - len(room.evict) + 1


@settings(max_examples=300, deadline=None)
@given(layouts(), st.integers(1, TOTAL))
def test_no_memory_is_lost_between_adapters(taken: list[Range], size: int) -> None:
    """Where nothing is in use, one leaves only if all that is free is too little, and the oldest first."""
    for one in taken:
        one.fixed = False
    room = find_room(TOTAL, taken, size)
    assert room is not None
    oldest = sorted(taken, key=lambda one: one.used)[: len(room.evict)]
    assert set(map(id, room.evict)) == set(map(id, oldest))
    free = TOTAL - sum(one.size for one in taken)
    assert free + sum(one.size for one in oldest[:-1]) < size or not oldest


def test_the_first_gap_that_is_large_enough_is_taken() -> None:
    taken = [Range(0, 10), Range(15, 5), Range(40, 10)]
    assert find_room(TOTAL, taken, 6) == Room(20)
    assert find_room(TOTAL, taken, 5) == Room(10)


def test_as_little_as_possible_is_moved() -> None:
    small, large = Range(10, 2, fixed=False), Range(50, 40, fixed=False)
    room = find_room(60, [small, Range(20, 10, fixed=False), Range(30, 20, fixed=False)], 17)
    assert room is not None
    assert room.move == [(small, 0)]
    room = find_room(TOTAL, [large, Range(0, 40, fixed=False)], 20)
    assert room is not None
    assert (room.start, room.move) == (80, [(large, 40)])


@pytest.mark.parametrize("start", [0, 1, 999, 20_000])
def test_a_moved_adapter_is_what_it_would_be_if_it_were_placed_there(
    tiny_model: Path, tmp_path: Path, start: int
) -> None:
    config = LlamaConfig.read(tiny_model)
    folder = write_adapter(tmp_path / "a", config, targets=["q_proj", "v_proj", "down_proj"])
    weights = read_adapter(folder, config, AboutBase()).weights
    size = numbers_needed(weights)
    arena, fresh = torch.zeros(20_000 + size), torch.zeros(20_000 + size)
    moved = move(arena, place(weights, config, arena, 1000), start)
    wanted = place(weights, config, fresh, start)
    assert (moved.start, moved.size) == (wanted.start, wanted.size) == (start, size)
    assert (moved.parts == wanted.parts).all()
    assert arena[start : start + size].equal(fresh[start : start + size])
