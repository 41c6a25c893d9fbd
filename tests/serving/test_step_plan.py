"""What one step reads: who gets how many of its tokens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.serving.bench import Bench, load_model
from workers.serving.adapter_bank import LoadedAdapter
from workers.serving.llama import Llama
from workers.serving.lora import PlacedAdapter
from workers.serving.step_plan import plan


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Llama:
    return load_model(tiny_model)


@pytest.fixture
def bench(tiny_model: Path, model: Llama) -> Iterator[Bench]:
    bench = Bench(tiny_model, model)
    yield bench
    bench.close()


def test_short_prompts_without_end_do_not_starve_a_long_one(bench: Bench) -> None:
    """By the plan alone: there is always a new short prompt, and the long one still gets its quarter."""
    long, steps = waiting_to_be_read(bench, 1000), 0
    while long.pending() > 1:
        newcomers = [waiting_to_be_read(bench, 60) for _ in range(10)]
        shares = {sequence: len(segment.tokens) for sequence, segment in plan([long, *newcomers], 256)}
        assert sum(shares.values()) == 256
        long.cache.length += shares[long]
        for newcomer in newcomers:
            bench.pool.release(newcomer.cache)
        steps += 1
    assert steps == 16  # 64 tokens each


@pytest.mark.parametrize("answering", [0, 3, 40])
def test_a_step_reads_a_token_of_all_who_answer_and_some_of_the_prompts(bench: Bench, answering: int) -> None:
    running = [waiting_to_be_read(bench, 1) for _ in range(answering)]
    running += [waiting_to_be_read(bench, length) for length in (300, 20, 10)]
    shares = {sequence: len(segment.tokens) for sequence, segment in plan(running, 32)}
    assert all(shares[sequence] == 1 for sequence in running[:answering])
    of_prompts = [shares.get(sequence, 0) for sequence in running[answering:]]
    assert of_prompts == {0: [8, 14, 10], 3: [7, 12, 10], 40: [2, 0, 6]}[answering]


def waiting_to_be_read(bench: Bench, tokens: int) -> Any:
    sequence = bench.make([1] * tokens).sequence
    sequence.cache = bench.pool.allocate(tokens)
    return sequence


def test_segments_of_one_adapter_are_neighbours(bench: Bench) -> None:
    parts = torch.zeros(bench.config.layers, 7, 5, dtype=torch.int64).numpy()
    adapters = [LoadedAdapter(name, PlacedAdapter(torch.zeros(1), 0, 0, parts)) for name in "ab"]
    running = []
    for adapter in (*adapters, None) * 3:
        sequence = waiting_to_be_read(bench, 2)
        sequence.adapter = adapter
        running.append(sequence)
    order = [id(segment.adapter) for _, segment in plan(running, 256)]
    assert order == sorted(order)
    assert len(order) == 9
