"""Hundreds of adapters known, few in memory: who stays, leaves and waits, and that nobody gets another's."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.serving.adapters import ABOUT, CONFIG, WEIGHTS, write_adapter
from workers.serving.adapter_bank import AdapterBank, LoadedAdapter
from workers.serving.adapter_file import read_again
from workers.serving.config import LlamaConfig
from workers.serving.errors import EngineError
from workers.serving.llama import Llama
from workers.serving.probe import Probe

Make = Callable[..., AdapterBank]


@pytest.fixture(scope="module")
def config(tiny_model: Path) -> LlamaConfig:
    return LlamaConfig.read(tiny_model)


@pytest.fixture(scope="module")
def folders(config: LlamaConfig, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Eight adapters of rank 4, the numbers of each all the same: 1, 2, 3 and so on."""
    root = tmp_path_factory.mktemp("marked")
    return [write_adapter(root / str(mark), config, mark=float(mark)) for mark in range(1, 9)]


@pytest.fixture(scope="module")
def size(config: LlamaConfig) -> int:
    """Bytes of one of `folders`: its numbers and nothing else."""
    return 4 * 4 * config.layers * sum(map(sum, config.linear_shapes().values()))


@pytest.fixture
def make(config: LlamaConfig, size: int) -> Make:
    """A bank with memory for so many of `folders`, whose callers wait for a moment only."""

    def make(places: float, *, probe: Probe | None = None, **settings: Any) -> AdapterBank:
        settings = {"max_registered": 1000, "wait_seconds": 0.05, **settings}
        return AdapterBank(
            config, base_name="base", root=None, arena_bytes=int(places * size), probe=probe, **settings
        )

    return make


def numbers(adapter: LoadedAdapter) -> torch.Tensor:
    placed = adapter.placed
    return placed.arena[placed.start : placed.start + placed.size]


def use(bank: AdapterBank, name: str) -> str:
    """Ask for an adapter and give it back; whether it had to be read."""
    misses = bank.misses
    bank.release(bank.acquire(name))
    return "read" if bank.misses > misses else "there"


def unless(status: int, call: Callable[[], LoadedAdapter | None]) -> LoadedAdapter | None:
    """What `call` gives; None where it is refused with this status. Any other refusal is an error."""
    try:
        return call()
    except EngineError as error:
        if error.status != status:
            raise
        return None


def refused(call: Callable[[], object], status: int, code: str) -> EngineError:
    with pytest.raises(EngineError) as refusal:
        call()
    assert (refusal.value.status, refusal.value.code) == (status, code)
    return refusal.value


def test_what_was_used_longest_ago_leaves_first(make: Make, folders: list[Path]) -> None:
    bank = make(3)
    for name, folder in zip("abc", folders, strict=False):
        bank.load(name, str(folder))
    assert [use(bank, name) for name in "cab"] == ["there"] * 3
    bank.load("d", str(folders[3]))  # in place of c
    assert [use(bank, name) for name in "abd"] == ["there"] * 3
    assert use(bank, "c") == "read"  # in place of a
    assert [use(bank, name) for name in "bdc"] == ["there"] * 3
    assert use(bank, "a") == "read"
    assert (bank.evictions, bank.resident, bank.registered) == (3, 3, 4)


def test_what_is_in_use_stays_where_it_is(make: Make, folders: list[Path]) -> None:
    bank = make(2)
    for name, folder in zip("abcdef", folders, strict=False):
        bank.register(name, str(folder))
    held = bank.acquire("a")
    for name in "bcdefbcdef":
        assert use(bank, name) == "read"
        assert numbers(held).eq(1).all()
    assert use(bank, "a") == "there"
    bank.release(held)


def test_registering_takes_no_memory_until_it_is_asked_for(make: Make, folders: list[Path]) -> None:
    bank = make(2)
    bank.register("a", str(folders[0]))
    assert (bank.resident, bank.bytes, [name for name, _ in bank.names()]) == (0, 0, ["a"])
    assert use(bank, "a") == "read"
    assert bank.resident == 1


def test_an_adapter_that_comes_back_is_the_same_and_a_new_load_of_its_name_is_not(
    make: Make, folders: list[Path]
) -> None:
    bank = make(1)
    bank.load("a", str(folders[0]))
    first = bank.acquire("a")
    bank.release(first)
    bank.load("b", str(folders[1]))
    again = bank.acquire("a")
    bank.release(again)
    assert numbers(again).eq(1).all()
    assert again.load_id == first.load_id
    bank.unload("a")
    bank.load("a", str(folders[0]))
    assert bank.acquire("a").load_id != first.load_id


def other_weights(folder: Path) -> None:
    data = bytearray((folder / WEIGHTS).read_bytes())
    data[-1] ^= 1
    (folder / WEIGHTS).write_bytes(data)


def other_settings(folder: Path) -> None:
    (folder / CONFIG).write_text((folder / CONFIG).read_text().replace('"lora_alpha": 4', '"lora_alpha": 8'))


def one_file_more(folder: Path) -> None:
    (folder / ABOUT).write_text("{}")


def one_file_less(folder: Path) -> None:
    (folder / WEIGHTS).unlink()


@pytest.mark.parametrize("change", [other_weights, other_settings, one_file_more, one_file_less])
def test_changed_files_are_refused_and_logged(
    make: Make,
    config: LlamaConfig,
    folders: list[Path],
    tmp_path: Path,
    change: Callable[[Path], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    bank = make(1)
    folder = write_adapter(tmp_path / "a", config, mark=7.0)
    bank.load("a", str(folder))
    change(folder)
    assert use(bank, "a") == "there"  # what was loaded still answers
    bank.load("b", str(folders[0]))
    with caplog.at_level(logging.ERROR):
        error = refused(lambda: bank.acquire("a"), 500, "adapter_changed")
    assert "no longer those that were loaded" in error.message
    assert "a can't be loaded again" in caplog.text
    assert bank.resident == 0  # b made room, and nothing of a is left
    assert use(bank, "b") == "read"
    bank.unload("a")


def test_while_all_memory_is_in_use_others_wait_and_are_then_told(make: Make, folders: list[Path]) -> None:
    bank = make(1)
    bank.load("a", str(folders[0]))
    bank.register("b", str(folders[1]))
    held = bank.acquire("a")
    assert refused(lambda: bank.acquire("b"), 429, "engine_busy").retry_after
    assert refused(lambda: bank.load("c", str(folders[2])), 429, "engine_busy").retry_after
    assert "c" not in bank
    bank.release(held)
    assert use(bank, "b") == "read"


def test_who_waits_gets_the_memory_once_it_is_free(make: Make, folders: list[Path]) -> None:
    bank = make(1, wait_seconds=30)
    bank.load("a", str(folders[0]))
    bank.register("b", str(folders[1]))
    held = bank.acquire("a")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(bank.acquire, "b")
        while not bank.misses:
            time.sleep(0.001)
        assert not waiting.done()
        bank.release(held)
        assert numbers(waiting.result(30)).eq(2).all()


def test_an_adapter_larger_than_all_memory_is_refused_at_once(make: Make, folders: list[Path]) -> None:
    bank = make(0.9, wait_seconds=600)
    assert "--lora-memory" in refused(lambda: bank.load("a", str(folders[0])), 507, "no_place").message
    refused(lambda: bank.register("a", str(folders[0])), 507, "no_place")
    assert "a" not in bank


def test_more_names_than_may_be_known_are_refused(make: Make, folders: list[Path]) -> None:
    bank = make(1, max_registered=2)
    bank.register("a", str(folders[0]))
    bank.register("b", str(folders[0]))
    assert "unload one first" in refused(lambda: bank.register("c", str(folders[0])), 507, "no_place").message
    bank.unload("a")
    bank.register("c", str(folders[0]))


def test_loading_one_holds_up_nobody_who_asks_for_another(
    make: Make, folders: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = make(3, wait_seconds=30)
    bank.load("a", str(folders[0]))
    bank.register("b", str(folders[1]))
    reading, go_on = threading.Event(), threading.Event()

    def slowly(*arguments: Any) -> Any:
        reading.set()
        assert go_on.wait(30)
        return read_again(*arguments)

    monkeypatch.setattr("workers.serving.adapter_bank.read_again", slowly)
    with ThreadPoolExecutor(2) as pool:
        loading = [pool.submit(bank.acquire, "b") for _ in range(2)]  # read once, for both
        assert reading.wait(30)
        assert use(bank, "a") == "there"
        assert {name for name, _ in bank.names()} == {"a", "b"}
        go_on.set()
        assert all(numbers(one.result(30)).eq(2).all() for one in loading)
    assert bank.misses == 1


def test_unloading_waits_for_those_that_use_it(make: Make, folders: list[Path]) -> None:
    bank = make(1)
    bank.load("a", str(folders[0]))
    held = bank.acquire("a")
    with ThreadPoolExecutor(1) as pool:
        unloading = pool.submit(bank.unload, "a")
        while "a" in bank:
            time.sleep(0.001)
        refused(lambda: bank.acquire("a"), 404, "model_not_found")
        refused(lambda: bank.load("a", str(folders[1])), 400, "already_loaded")
        assert numbers(held).eq(1).all()
        assert not unloading.done()
        bank.release(held)
        unloading.result(30)
    assert bank.bytes == 0
    bank.load("a", str(folders[1]))


def test_what_is_not_in_use_is_moved_together_before_anything_is_given_up(
    make: Make, config: LlamaConfig, tmp_path: Path, folders: list[Path]
) -> None:
    bank = make(4)
    small = write_adapter(tmp_path / "small", config, mark=9.0, targets=["q_proj", "o_proj"])
    large = write_adapter(tmp_path / "large", config, mark=5.0, rank=6)  # one and a half of the others
    for name, folder in zip("abc", (small, folders[0], folders[1]), strict=True):
        bank.load(name, str(folder))
    held = bank.acquire("a")  # must stay, and b and c can't both
    bank.unload("b")
    bank.load("d", str(large))
    bank.load("e", str(folders[2]))
    assert bank.evictions == 0
    bank.unload("d")
    bank.load("f", str(large))
    assert [use(bank, name) for name in "cef"] == ["there"] * 3
    assert bank.evictions == 0
    for name, mark in (("a", 9), ("c", 2), ("e", 3), ("f", 5)):
        again = bank.acquire(name)
        assert numbers(again).eq(mark).all()
        bank.release(again)
    bank.release(held)


def test_an_adapter_costs_its_own_bytes(make: Make, folders: list[Path], size: int) -> None:
    """With what is lost between them: a memory of n adapters holds n. (Their files have headers too.)"""
    bank = make(len(folders))
    for number, folder in enumerate(folders, start=1):
        bank.load(str(number), str(folder))
        assert bank.bytes == number * size <= number * (folder / WEIGHTS).stat().st_size
    assert (bank.evictions, bank.bytes) == (0, bank.capacity_bytes)


def test_mixed_ranks_leave_no_memory_unused(make: Make, config: LlamaConfig, tmp_path: Path) -> None:
    """One leaves only when all that is free together is too little: nothing is lost to gaps, ever."""
    bank = make(40)
    choose = random.Random(5)
    ranks = (4, 8, 16, 32, 64)
    for rank in ranks:
        write_adapter(tmp_path / str(rank), config, rank=rank, targets=["q_proj"], mark=float(rank))
    cost = {
        rank: 4 * config.layers * rank * sum(config.linear_shapes()["self_attn.q_proj"]) for rank in ranks
    }
    for number in range(400):
        before, evictions = bank.bytes, bank.evictions
        rank = choose.choice(ranks)
        bank.load(str(number), str(tmp_path / str(rank)))
        if bank.evictions == evictions:
            assert bank.bytes == before + cost[rank]
        else:
            assert before + cost[rank] > bank.capacity_bytes
        if number % 3 == 0:
            bank.unload(choose.choice(bank.names())[0])
    assert bank.evictions > 50


def test_hundreds_are_known_and_few_in_memory(
    make: Make, config: LlamaConfig, tiny_model: Path, folders: list[Path]
) -> None:
    """With a real probe of every load; popularity as in a power law."""
    bank = make(5, probe=Probe(Llama.load(tiny_model, config, 64)))
    for number in range(300):
        bank.register(f"lo-{number}", str(folders[number % 8]))
    choose = random.Random(1)
    for _ in range(150):
        number = min(299, int(choose.paretovariate(0.6)) - 1)
        adapter = bank.acquire(f"lo-{number}")
        assert numbers(adapter).eq(number % 8 + 1).all()
        bank.release(adapter)
    assert bank.registered == 300
    assert bank.resident <= 5
    assert bank.hits > 20
    assert bank.evictions == bank.misses - bank.resident > 20


def test_threads_that_ask_load_and_unload_always_get_what_they_name(
    make: Make, config: LlamaConfig, tmp_path: Path, folders: list[Path]
) -> None:
    """Six threads, memory for three and a half of eight adapters of two sizes: whoever holds one finds its
    numbers unchanged, whatever is evicted, moved, loaded or unloaded meanwhile."""
    bank = make(3.5, wait_seconds=60)
    large = [write_adapter(tmp_path / str(mark), config, rank=6, mark=float(mark)) for mark in (9, 10, 11)]
    marks = dict(enumerate([*folders[:5], *large]))
    for number, folder in marks.items():
        bank.register(f"lo-{number}", str(folder))
    values = [1, 2, 3, 4, 5, 9, 10, 11]

    def ask(seed: int) -> None:
        choose = random.Random(seed)
        for turn in range(40):
            number = choose.randrange(8)
            adapter = unless(404, partial(bank.acquire, f"lo-{number}"))
            if adapter is None:  # another thread has unloaded it and not loaded it yet
                continue
            try:
                for _ in range(choose.randrange(1, 4)):
                    assert numbers(adapter).eq(values[number]).all()
                    time.sleep(0.001)
            finally:
                bank.release(adapter)
            if turn % 8 == seed:
                reload(number)

    def reload(number: int) -> None:
        unless(404, lambda: bank.unload(f"lo-{number}"))  # another thread may be first
        unless(400, lambda: bank.load(f"lo-{number}", str(marks[number])))

    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(ask, seed) for seed in range(6)]:
            done.result(120)
    assert bank.evictions > 10
    assert {name for name, _ in bank.names()} == {f"lo-{number}" for number in marks}
    for number in marks:  # nothing is left in use, so that all of the memory can be had again
        bank.unload(f"lo-{number}")
    assert (bank.bytes, bank.resident) == (0, 0)
