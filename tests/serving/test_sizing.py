"""How much the engine remembers: as it is told, or a part of the machine's memory."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from workers.serving import sizing
from workers.serving.config import LlamaConfig
from workers.serving.errors import StartError
from workers.serving.kv_cache import BLOCK, KVStore
from workers.serving.sizing import at_least_one, kv_budget, memory_size, sentence

GIB = 2**30


@pytest.fixture(scope="module")
def config(tiny_model: Path) -> LlamaConfig:
    return LlamaConfig.read(tiny_model)


def test_the_budget_is_what_the_store_takes(config: LlamaConfig) -> None:
    budget = kv_budget(config, 64, 4, tokens=1000)
    assert budget.tokens == 1024  # whole blocks
    store = KVStore(config, budget.blocks)
    assert budget.bytes == store.keys.nbytes + store.values.nbytes


def test_memory_is_never_exceeded(config: LlamaConfig) -> None:
    each = KVStore.bytes_per_token(config) * BLOCK
    budget = kv_budget(config, 64, 4, memory=10 * each - 1)
    assert (budget.blocks, budget.bytes) == (9, 9 * each)


@pytest.mark.parametrize("memory", [24 * GIB, GIB // 4])
def test_by_itself_it_takes_what_it_can_need_up_to_a_quarter(
    config: LlamaConfig, monkeypatch: pytest.MonkeyPatch, memory: int
) -> None:
    monkeypatch.setattr(sizing, "host_memory", lambda: memory)
    budget = kv_budget(config, 8192, 32)
    assert budget.tokens <= 32 * 8192
    assert budget.bytes <= memory / 4
    said = sentence(budget)
    if memory == 24 * GIB:
        assert budget.tokens == 32 * 8192
        assert "needed by 32 at once" in said
    else:
        assert budget.bytes > memory / 4 - GIB / 1024
        assert "a quarter of this machine's 256 MiB" in said


def test_room_for_less_than_one_request_is_refused(config: LlamaConfig) -> None:
    with pytest.raises(StartError, match="one request may need 2048") as refused:
        kv_budget(config, 2048, 32, tokens=2000)
    assert "--kv-cache-memory" in str(refused.value)
    assert kv_budget(config, 2048, 32, tokens=2048).tokens == 2048


@pytest.mark.parametrize(
    ("text", "size"),
    [("6GiB", 6 * GIB), ("512m", 2**29), ("1.5 GB", 3 * 2**29), ("4096", 4096), ("2T", 2**41)],
)
def test_sizes_are_written_as_people_write_them(text: str, size: int) -> None:
    assert memory_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "-1G", "much", "1GiBB", "nan", "1e9"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="6GiB"):
        memory_size(text)


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "", "²"])
def test_counts_start_from_one(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        at_least_one(text)
