"""Beginnings that were read before: the same answers with less reading, and never across a scope."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch

from tests.serving.bench import Bench, load_model
from workers.serving.kv_cache import BLOCK
from workers.serving.llama import Llama
from workers.serving.prefix_cache import scope_of
from workers.serving.steps import Segment

ALICE, CAROL = (hashlib.sha256(name).digest() for name in (b"alice's salt", b"carol's salt"))


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Llama:
    return load_model(tiny_model)


@pytest.fixture
def bench(tiny_model: Path, model: Llama) -> Iterator[Bench]:
    bench = Bench(tiny_model, model, tokens=20 * BLOCK, max_running=6, step_tokens=48)
    yield bench
    bench.close()


@pytest.fixture
def tables(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The blocks of every sequence that stepped, as often as it stepped."""
    seen: list[list[int]] = []
    forward = bench.model.forward

    def watch(segments: Sequence[Segment]) -> torch.Tensor:
        seen.extend(list(segment.cache.table) for segment in segments)
        return forward(segments)

    monkeypatch.setattr(bench.model, "forward", watch)
    return seen


def test_a_scope_is_one_firm_and_one_load_of_an_adapter() -> None:
    scopes = {scope_of(salt, load) for salt in ("a", "b", "ab") for load in ("base", "c", "bc")}
    assert len(scopes) == 9
    assert scope_of("", "base") == b""


def some_prompt(bench: Bench, length: int, seed: int = 0) -> list[int]:
    return random.Random(seed).sample(range(1000, bench.config.vocabulary), length)


def test_a_prompt_read_before_is_answered_the_same_from_memory(bench: Bench) -> None:
    bench.scheduler.start()
    prompt = some_prompt(bench, 110)
    plain = bench.ask(prompt, max_tokens=20, endless=True).wait()
    first = bench.ask(prompt, max_tokens=20, scope=ALICE, endless=True).wait()
    assert bench.pool.hit_tokens == 0
    again = bench.ask(prompt, max_tokens=20, scope=ALICE, endless=True).wait()
    assert bench.pool.hit_tokens == 96
    assert plain.answer == first.answer == again.answer
    assert len(set(plain.answer)) > 1


def test_a_conversation_goes_on_from_its_own_answer(bench: Bench) -> None:
    bench.scheduler.start()
    prompt = some_prompt(bench, 50)
    first = bench.ask(prompt, max_tokens=30, scope=ALICE, endless=True).wait()
    longer = [*first.sequence.tokens, *some_prompt(bench, 9, seed=1)]
    with_memory = bench.ask(longer, max_tokens=10, scope=ALICE, endless=True).wait()
    assert bench.pool.hit_tokens == 64  # of the 79 that were read: prompt and answer, but for the last token
    assert with_memory.answer == bench.ask(longer, max_tokens=10, endless=True).wait().answer


def test_what_is_running_is_shared_too(bench: Bench) -> None:
    bench.scheduler.start()
    prompt = some_prompt(bench, 100)
    running = bench.ask(prompt, max_tokens=300, scope=ALICE, endless=True)
    while not running.events:
        running.over.wait(0.01)
    second = bench.ask(prompt, max_tokens=5, scope=ALICE, endless=True).wait()
    assert bench.pool.hit_tokens == 96
    bench.scheduler.cancel(running.sequence)
    assert running.wait().answer[:5] == second.answer


@pytest.mark.parametrize("at_once", [True, False])
def test_two_firms_with_one_prompt_share_no_block(
    bench: Bench, tables: list[list[int]], at_once: bool
) -> None:
    prompt = some_prompt(bench, 100)
    asked = [
        bench.make(prompt, max_tokens=8, scope=scope, tenant=tenant, endless=True)
        for tenant, scope in (("a", ALICE), ("c", CAROL))
    ]
    bench.scheduler.start()
    for one in asked:
        bench.scheduler.submit(one.sequence)
        if not at_once:
            one.wait()
    for one in asked:
        one.wait()
    assert bench.pool.hit_tokens == 0
    used = {tuple(table) for table in tables}
    assert len(used) == 2
    first, second = used
    assert not set(first[:3]) & set(second[:3])  # whole blocks of the prompt
    assert asked[0].answer == asked[1].answer


def test_without_a_scope_nothing_is_remembered(bench: Bench) -> None:
    bench.scheduler.start()
    prompt = some_prompt(bench, 100)
    for _ in range(2):
        bench.ask(prompt).wait()
    assert (bench.pool.queried_tokens, bench.pool.hit_tokens, bench.pool.idle_blocks) == (0, 0, 0)


def test_answers_are_the_same_whatever_was_remembered_or_forgotten(bench: Bench) -> None:
    """Prompts with common beginnings, arriving together, in less memory than they would all need."""
    draw = random.Random(5)  # not for secrets
    stems = [some_prompt(bench, 96, seed) for seed in range(3)]
    prompts = [
        [*draw.choice(stems)[: draw.randrange(20, 97)], *some_prompt(bench, draw.randrange(1, 9), seed=9)]
        for _ in range(30)
    ]
    bench.scheduler.start()
    expected = [bench.ask(prompt, max_tokens=6, endless=True).wait().answer for prompt in prompts]
    scopes = [draw.choice([ALICE, CAROL]) for _ in prompts]
    asked = [
        bench.ask(prompt, max_tokens=6, scope=scope, endless=True)
        for prompt, scope in zip(prompts, scopes, strict=True)
    ]
    assert [one.wait().answer for one in asked] == expected
    assert bench.pool.hit_tokens > 0
    assert bench.pool.used_blocks == 0
