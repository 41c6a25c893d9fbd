"""Blocks of keys and values: nobody writes where another reads, nothing leaks."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from tests.models import tiny_model_folder
from workers.serving.config import LlamaConfig
from workers.serving.kv_cache import BLOCK, KVCache, KVStore
from workers.serving.kv_pool import KVPool, blocks_for
from workers.serving.prefix_cache import block_keys

ALICE, CAROL = (hashlib.sha256(name).digest() for name in (b"alice", b"carol"))
BLOCKS = 12


@pytest.fixture(scope="module")
def config(tiny_model: Path) -> LlamaConfig:
    return LlamaConfig.read(tiny_model)


@pytest.fixture
def pool(config: LlamaConfig) -> KVPool:
    return KVPool(KVStore(config, BLOCKS))


def read(pool: KVPool, scope: bytes, tokens: list[int], capacity: int | None = None) -> KVCache:
    """Have a cache and fill it with all tokens, as the engine's steps do."""
    cache = pool.allocate(capacity or len(tokens), scope=scope, tokens=tokens)
    assert cache is not None
    cache.length = len(tokens)
    return cache


def test_a_prompt_seen_before_is_not_read_again(pool: KVPool) -> None:
    tokens = list(range(3 * BLOCK + 5))
    first = read(pool, ALICE, tokens)
    table = first.table
    pool.release(first, scope=ALICE, tokens=tokens)
    second = pool.allocate(len(tokens) + 40, scope=ALICE, tokens=tokens)
    assert second is not None
    assert second.length == 3 * BLOCK
    assert second.table[:3] == table[:3]
    assert (pool.queried_tokens, pool.hit_tokens) == (2 * len(tokens), 3 * BLOCK)


def test_the_last_token_is_always_read(pool: KVPool) -> None:
    tokens = list(range(2 * BLOCK))
    pool.release(read(pool, ALICE, tokens), scope=ALICE, tokens=tokens)
    again = pool.allocate(2 * BLOCK, scope=ALICE, tokens=tokens)
    assert again is not None
    assert again.length == BLOCK


def test_only_the_common_beginning_is_shared(pool: KVPool) -> None:
    tokens = list(range(3 * BLOCK))
    pool.release(read(pool, ALICE, tokens), scope=ALICE, tokens=tokens)
    other = [*tokens[: 2 * BLOCK - 1], 7, *tokens[2 * BLOCK :]]
    cache = pool.allocate(len(other), scope=ALICE, tokens=other)
    assert cache is not None
    assert cache.length == BLOCK
    moved = pool.allocate(len(tokens), scope=ALICE, tokens=tokens[BLOCK:] + tokens[:BLOCK])
    assert moved is not None
    assert moved.length == 0  # the same block at another place is another block


def test_what_runs_is_shared_while_it_runs(pool: KVPool) -> None:
    tokens = list(range(2 * BLOCK + 1))
    first = read(pool, ALICE, tokens)
    pool.share(first, scope=ALICE, tokens=tokens)
    second = pool.allocate(len(tokens), scope=ALICE, tokens=tokens)
    assert second is not None
    assert second.table[:2] == first.table[:2]
    assert second.table[2] != first.table[2]
    assert pool.used_blocks == 4


@pytest.mark.parametrize("other", [CAROL, b""])
def test_scopes_share_nothing(pool: KVPool, other: bytes) -> None:
    tokens = list(range(3 * BLOCK + 1))
    first = read(pool, ALICE, tokens)
    pool.share(first, scope=ALICE, tokens=tokens)
    second = read(pool, other, tokens)
    assert not set(first.table) & set(second.table)
    pool.release(first, scope=ALICE, tokens=tokens)
    pool.release(second, scope=other, tokens=tokens)
    third = pool.allocate(len(tokens), scope=other, tokens=tokens)
    assert third is not None
    assert third.length == (3 * BLOCK if other else 0)
    assert not set(first.table) & set(third.table)


def test_a_scope_can_not_be_imitated_by_tokens() -> None:
    """The chain of another scope can't be reached by any choice of tokens: both parts are hashed apart."""
    tokens = list(range(2 * BLOCK))
    first, second = block_keys(ALICE, tokens)
    assert second not in block_keys(first, tokens[BLOCK:])


def test_room_is_made_by_forgetting_what_was_used_least_recently(pool: KVPool) -> None:
    old, new = list(range(100, 100 + 4 * BLOCK)), list(range(500, 500 + 4 * BLOCK))
    for tokens in (old, new, old):  # the old one is used again
        pool.release(read(pool, ALICE, tokens), scope=ALICE, tokens=tokens)
    assert pool.idle_blocks == 8
    large = pool.allocate(6 * BLOCK)  # 4 are free
    assert large is not None
    assert pool.idle_blocks == 6
    lengths = []
    for tokens in (old, new):
        cache = pool.allocate(len(tokens), scope=ALICE, tokens=tokens)
        assert cache is not None
        lengths.append(cache.length)
        pool.release(cache)
    assert lengths == [3 * BLOCK, 2 * BLOCK]  # of the newer, the end went first


def test_prefixes_that_rest_never_stand_in_a_requests_way(pool: KVPool) -> None:
    tokens = list(range(BLOCKS * BLOCK))
    pool.release(read(pool, ALICE, tokens), scope=ALICE, tokens=tokens)
    assert (pool.used_blocks, pool.idle_blocks) == (0, BLOCKS)
    assert pool.allocate(BLOCKS * BLOCK, scope=CAROL, tokens=tokens) is not None
    assert pool.idle_blocks == 0


def test_no_room_changes_nothing(pool: KVPool) -> None:
    tokens = list(range(4 * BLOCK))
    pool.release(read(pool, ALICE, tokens), scope=ALICE, tokens=tokens)
    assert pool.allocate((BLOCKS + 1) * BLOCK, scope=ALICE, tokens=tokens) is None
    assert not pool.fits((BLOCKS + 1) * BLOCK)
    held = pool.allocate(9 * BLOCK)  # 8 free and one that rested
    assert held is not None
    assert pool.allocate(7 * BLOCK, scope=ALICE, tokens=tokens) is None
    assert (pool.used_blocks, pool.idle_blocks) == (9, 3)
    assert pool.hit_tokens == 0


@dataclass(eq=False)
class Held:
    """A sequence of the machine below, and what each block it reads must hold."""

    cache: KVCache
    scope: bytes
    tokens: list[int]
    written: list[int] = field(default_factory=list)  # blocks it may write to


class PoolMachine(RuleBasedStateMachine):
    """Random arrivals, steps, sharing and ends. The blocks' content is modelled as what was written there."""

    held = Bundle("held")

    def __init__(self) -> None:
        super().__init__()
        self.pool = KVPool(KVStore(LlamaConfig.read(tiny_model_folder()), BLOCKS))
        self.content: dict[int, tuple[bytes, tuple[int, ...]]] = {}  # block: scope, all tokens up to its end
        self.running: list[Held] = []

    @rule(
        target=held,
        scope=st.sampled_from([ALICE, CAROL, b""]),
        letters=st.lists(st.sampled_from([1, 2]), min_size=1, max_size=5),
        more=st.integers(0, BLOCK - 1),
        room=st.integers(0, 3 * BLOCK),
    )
    def arrive(self, scope: bytes, letters: list[int], more: int, room: int) -> object:
        """Prompts of a few kinds of blocks, so that beginnings are often the same."""
        tokens = [letter for letter in letters for _ in range(BLOCK)][: len(letters) * BLOCK - more]
        before = (self.pool.used_blocks, self.pool.idle_blocks)
        cache = self.pool.allocate(len(tokens) + room, scope=scope, tokens=tokens)
        if cache is None:
            assert (self.pool.used_blocks, self.pool.idle_blocks) == before
            return multiple()
        assert len(cache.table) == blocks_for(len(tokens) + room)
        assert cache.length % BLOCK == 0
        assert cache.length < len(tokens)
        for index in range(cache.length // BLOCK):
            assert self.content[cache.table[index]] == (scope, tuple(tokens[: (index + 1) * BLOCK]))
        one = Held(cache, scope, tokens, cache.table[cache.length // BLOCK :])
        self.running.append(one)
        return one

    @rule(one=held, count=st.integers(1, 2 * BLOCK))
    def step(self, one: Held, count: int) -> None:
        """Read tokens, and write where the cache says."""
        if one not in self.running:
            return
        end = min(one.cache.length + count, len(one.tokens))
        for position in range(one.cache.length, end):
            block = one.cache.table[position // BLOCK]
            assert block in one.written
            self.content[block] = (one.scope, tuple(one.tokens[: position + 1]))
        one.cache.length = end

    @rule(one=held)
    def share(self, one: Held) -> None:
        if one in self.running:
            self.pool.share(one.cache, scope=one.scope, tokens=one.tokens)

    @rule(one=consumes(held), keep=st.booleans())
    def leave(self, one: Held, keep: bool) -> None:
        self.running.remove(one)
        if keep:
            self.pool.release(one.cache, scope=one.scope, tokens=one.tokens)
        else:
            self.pool.release(one.cache)

    @invariant()
    def every_block_is_somewhere_once(self) -> None:
        pool = self.pool
        for block in range(BLOCKS):
            holders = [one for one in self.running if block in one.cache.table]
            assert pool._holders[block] == len(holders)
            assert (block in pool._free) + (block in pool._prefixes._idle) == (not holders)
            assert sum(block in one.written for one in holders) <= 1
        assert len(set(pool._free)) == len(pool._free)
        assert pool.used_blocks + pool.idle_blocks + len(pool._free) == BLOCKS
        assert set(pool._prefixes._idle) <= set(pool._prefixes._keys)

    @invariant()
    def what_is_still_to_be_written_is_nobody_elses(self) -> None:
        for one in self.running:
            for block in one.cache.table[one.cache.length // BLOCK :]:
                assert [other for other in self.running if block in other.cache.table] == [one]

    def teardown(self) -> None:
        for one in self.running:
            self.pool.release(one.cache)
        assert self.pool.used_blocks == 0


TestPoolMachine = PoolMachine.TestCase
TestPoolMachine.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
