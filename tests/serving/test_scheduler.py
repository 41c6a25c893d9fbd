"""What the engine's thread does when things go wrong, and when there is more to do than room."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from workers.serving.adapter_bank import AdapterBank, LoadedAdapter
from workers.serving.config import LlamaConfig
from workers.serving.kv_cache import KVPool
from workers.serving.llama import Llama
from workers.serving.lora import FusedLora
from workers.serving.sampler import Sampler
from workers.serving.scheduler import Scheduler
from workers.serving.sequence import Delta, Event, Failed, Sequence
from workers.serving.text import Detokenizer, StopStrings, TextModel


@dataclass
class Asked:
    """A request made in this process, and all that was reported of it."""

    sequence: Sequence = field(init=False)
    events: list[Event] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    endings: int = 0

    def end(self) -> None:
        self.endings += 1
        self.over.set()

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, Delta))

    def wait(self) -> Event | None:
        assert self.over.wait(60)
        return self.events[-1] if self.events else None


@dataclass
class Bench:
    """A scheduler on the tiny model, its parts in reach."""

    config: LlamaConfig
    text: TextModel
    model: Llama
    pool: KVPool
    scheduler: Scheduler
    broke: threading.Event

    def ask(self, *, adapter: LoadedAdapter | None = None, max_tokens: int = 4) -> Asked:
        asked = Asked()
        asked.sequence = Sequence(
            tokens=self.text.encode("The parties agree that"),
            max_tokens=max_tokens,
            sampler=Sampler(temperature=0),
            detokenizer=Detokenizer(self.text),
            stops=StopStrings([]),
            stop_tokens=self.config.stop_tokens,
            adapter=adapter,
            report=asked.events.append,
            ended=asked.end,
        )
        self.scheduler.submit(asked.sequence)
        return asked


@pytest.fixture
def bench(tiny_model: Path) -> Iterator[Bench]:
    config = LlamaConfig.read(tiny_model)
    model, pool = Llama.load(tiny_model, config, 4096), KVPool(config, 4096)
    broke = threading.Event()
    scheduler = Scheduler(model, pool, max_running=4, on_broken=broke.set)
    yield Bench(config, TextModel(tiny_model), model, pool, scheduler, broke)
    if scheduler.healthy:
        scheduler.stop()


def unusable_adapter(config: LlamaConfig) -> LoadedAdapter:
    """Matrices that fit no layer, as no checked adapter can have them."""
    layer = {"qkv": FusedLora(torch.zeros(4, config.hidden + 1), ())}
    return LoadedAdapter("unusable", (layer,) * config.layers)


def finish_reason(event: Event | None) -> str | None:
    return event.finish_reason if isinstance(event, Delta) else None


def test_an_error_in_a_shared_step_fails_only_the_request_at_fault(bench: Bench) -> None:
    alone = bench.ask()
    bench.scheduler.start()
    alone.wait()
    asked = [bench.ask(), bench.ask(adapter=unusable_adapter(bench.config)), bench.ask()]
    failed = asked.pop(1)
    assert isinstance(failed.wait(), Failed)
    for sound in asked:
        assert finish_reason(sound.wait()) == "length"
        assert sound.text == alone.text != ""
    assert bench.scheduler.healthy
    assert {one.endings for one in (alone, failed, *asked)} == {1}


def test_a_broken_model_ends_every_request_and_is_told(bench: Bench) -> None:
    first, second = bench.ask(max_tokens=4000), bench.ask()
    bench.model._norm = torch.zeros(3)  # as if the memory had been damaged
    bench.scheduler.start()
    assert isinstance(first.wait(), Failed)
    assert isinstance(second.wait(), Failed)
    assert bench.broke.wait(10)
    assert not bench.scheduler.healthy
    late = bench.ask()
    assert isinstance(late.wait(), Failed)


def test_stopping_ends_what_runs_and_what_waits(bench: Bench) -> None:
    asked = [bench.ask(max_tokens=700) for _ in range(8)]
    bench.scheduler.start()
    bench.scheduler.stop()
    assert all(isinstance(one.wait(), Failed) and one.endings == 1 for one in asked)
    assert bench.scheduler.load == 0


def test_requests_wait_while_the_pool_is_full_and_then_run(bench: Bench) -> None:
    asked = [bench.ask(max_tokens=3000 if number == 0 else 1200) for number in range(3)]
    bench.scheduler.start()
    bench.scheduler.cancel(asked[0].sequence)
    assert [finish_reason(one.wait()) for one in asked] == [None, "length", "length"]
    assert bench.pool.allocate(4096) is not None  # all of it came back


def test_a_cancelled_request_ends_once_and_says_no_more(bench: Bench) -> None:
    bench.scheduler.start()
    asked = bench.ask(max_tokens=3000)
    bench.scheduler.cancel(asked.sequence)
    bench.scheduler.cancel(asked.sequence)
    assert finish_reason(asked.wait()) is None
    assert finish_reason(bench.ask().wait()) == "length"
    assert asked.endings == 1
    bench.scheduler.cancel(asked.sequence)


def test_an_error_while_telling_the_answer_fails_that_request_only(bench: Bench) -> None:
    bench.scheduler.start()
    deaf = Asked()

    def refuse(event: Event) -> None:
        raise RuntimeError("the event loop is closed")

    deaf.sequence = Sequence(
        tokens=[1, 2, 3],
        max_tokens=10,
        sampler=Sampler(temperature=0),
        detokenizer=Detokenizer(bench.text),
        stops=StopStrings([]),
        stop_tokens=frozenset(),
        adapter=None,
        report=refuse,
        ended=deaf.end,
    )
    bench.scheduler.submit(deaf.sequence)
    assert deaf.over.wait(60)
    assert finish_reason(bench.ask().wait()) == "length"


def test_unloading_waits_for_those_that_use_the_adapter(bench: Bench, adapters: dict[str, Path]) -> None:
    bank = AdapterBank(bench.config, base_name="base", root=None, places=1)
    bank.load("lo-1", str(adapters["rank-4"]))
    adapter = bank.acquire("lo-1")
    unloading = threading.Thread(target=bank.unload, args=("lo-1",))
    unloading.start()
    while "lo-1" in bank:
        pass
    assert unloading.is_alive()
    bank.release(adapter)
    unloading.join(30)
    assert not unloading.is_alive()
    bank.load("lo-1", str(adapters["rank-4"]))
