"""What the engine's thread does when things go wrong, and when there is more to do than room."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.serving.bench import Asked, Bench, load_model
from workers.serving.adapter_bank import LoadedAdapter
from workers.serving.errors import EngineError
from workers.serving.kv_cache import BLOCK
from workers.serving.llama import Llama
from workers.serving.lora import PlacedAdapter
from workers.serving.sampler import Row, Sampler
from workers.serving.sequence import Event
from workers.serving.steps import Segment

MakeBench = Callable[..., Bench]


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Llama:
    return load_model(tiny_model)


@pytest.fixture
def make_bench(tiny_model: Path, model: Llama) -> Iterator[MakeBench]:
    made: list[Bench] = []

    def make(**settings: Any) -> Bench:
        made.append(Bench(tiny_model, model, **settings))
        return made[-1]

    yield make
    for bench in made:
        bench.close()


@pytest.fixture
def bench(make_bench: MakeBench) -> Bench:
    return make_bench()


def unusable_adapter() -> LoadedAdapter:
    """An adapter without matrices, as no checked one can be."""
    return LoadedAdapter("unusable", PlacedAdapter(torch.zeros(1), 0, 0, None))  # type: ignore[arg-type]


def watched_steps(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> list[list[tuple[int, int]]]:
    """What each step will have read: (first block of the sequence, tokens)."""
    steps: list[list[tuple[int, int]]] = []
    forward = bench.model.forward

    def watch(segments: Sequence[Segment]) -> torch.Tensor:
        steps.append([(segment.cache.table[0], len(segment.tokens)) for segment in segments])
        return forward(segments)

    monkeypatch.setattr(bench.model, "forward", watch)
    return steps


def test_an_error_in_a_shared_step_fails_only_the_request_at_fault(bench: Bench) -> None:
    alone = bench.ask()
    bench.scheduler.start()
    alone.wait()
    asked = [bench.ask(), bench.ask(adapter=unusable_adapter()), bench.ask()]
    failed = asked.pop(1).wait()
    assert failed.failed
    for sound in asked:
        assert sound.wait().finish_reason == "length"
        assert sound.text == alone.text != ""
    assert bench.scheduler.healthy
    assert {one.endings for one in (alone, failed, *asked)} == {1}
    assert bench.pool.used_blocks == 0


def test_a_broken_model_ends_every_request_and_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(segments: Sequence[Segment]) -> torch.Tensor:
        raise RuntimeError("as if the memory had been damaged")

    monkeypatch.setattr(bench.model, "forward", damaged)
    first, second = bench.ask(max_tokens=4000), bench.ask()
    bench.scheduler.start()
    assert first.wait().failed
    assert second.wait().failed
    assert bench.broke.wait(10)
    assert not bench.scheduler.healthy
    late = bench.ask()
    assert late.wait().failed


def test_stopping_ends_what_runs_and_what_waits(bench: Bench) -> None:
    asked = [bench.ask(max_tokens=700, endless=True) for _ in range(8)]
    bench.scheduler.start()
    bench.scheduler.stop()
    assert all(one.wait().failed and one.endings == 1 for one in asked)
    assert bench.scheduler.load == 0
    assert bench.pool.used_blocks == 0


def test_requests_wait_while_the_pool_is_full_and_then_run(make_bench: MakeBench) -> None:
    bench = make_bench(tokens=512)
    asked = [bench.ask(max_tokens=400 if number == 0 else 150, endless=True) for number in range(3)]
    bench.scheduler.start()
    bench.scheduler.cancel(asked[0].sequence)
    assert [one.wait().finish_reason for one in asked] == [None, "length", "length"]
    assert bench.pool.allocate(512) is not None  # all of it came back


def test_a_request_that_the_memory_could_never_hold_is_refused_at_once(make_bench: MakeBench) -> None:
    bench = make_bench(tokens=4 * BLOCK)
    with pytest.raises(EngineError, match="more memory") as refused:
        bench.ask(max_tokens=4 * BLOCK)
    assert refused.value.status == 400


def test_a_cancelled_request_ends_once_and_says_no_more(bench: Bench) -> None:
    bench.scheduler.start()
    asked = bench.ask(max_tokens=3000, endless=True)
    bench.scheduler.cancel(asked.sequence)
    bench.scheduler.cancel(asked.sequence)
    assert asked.wait().finish_reason is None
    assert bench.ask().wait().finish_reason == "length"
    assert asked.endings == 1
    bench.scheduler.cancel(asked.sequence)


def test_an_error_while_telling_the_answer_fails_that_request_only(bench: Bench) -> None:
    def refuse(event: Event) -> None:
        raise RuntimeError("the event loop is closed")

    bench.scheduler.start()
    bench.ask(report=refuse, endless=True, max_tokens=10).wait()
    assert bench.ask().wait().finish_reason == "length"


class Broken(Sampler):
    def draw(self, logits: Row) -> int:
        raise RuntimeError("a mistake in one request's way of choosing")


def test_an_error_in_choosing_fails_that_request_only(bench: Bench) -> None:
    asked = [bench.make() for _ in range(3)]
    asked[1].sequence.sampler = Broken(temperature=1.0)
    for one in asked:
        bench.scheduler.submit(one.sequence)
    bench.scheduler.start()
    assert [one.wait().failed for one in asked] == [False, True, False]
    assert asked[0].text == asked[2].text != ""
    assert bench.scheduler.healthy


def test_an_error_in_telling_of_the_prompt_fails_that_request_only(bench: Bench) -> None:
    def refuse(event: Event) -> None:
        raise RuntimeError("the event loop is closed")

    asked = [bench.make(report=refuse), bench.make()]
    asked[0].sequence.prompt_logprobs = True
    for one in asked:
        bench.scheduler.submit(one.sequence)
    bench.scheduler.start()
    assert asked[0].wait().answer == []
    assert asked[1].wait().finish_reason == "length"
    assert bench.scheduler.healthy


def test_numbers_that_overflow_fail_their_own_request_only(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = bench.model.forward

    def overflow(segments: Sequence[Segment]) -> torch.Tensor:
        logits = forward(segments)
        logits[[bool(segment.adapter) for segment in segments if segment.logits]] = float("nan")
        return logits

    monkeypatch.setattr(bench.model, "forward", overflow)
    nothing = LoadedAdapter("nothing", PlacedAdapter(torch.zeros(1), 0, 0, no_parts(bench)))
    scope, prompt = b"a scope", list(range(3 * BLOCK))
    bad, good = bench.ask(prompt, adapter=nothing, scope=scope), bench.ask()
    bench.scheduler.start()
    assert bad.wait().failed
    assert good.wait().finish_reason == "length"
    assert bench.pool.idle_blocks == 0  # what overflowed is not kept for others


def no_parts(bench: Bench) -> Any:
    return torch.zeros(bench.config.layers, 7, 5, dtype=torch.int64).numpy()


def test_twenty_waiting_requests_of_one_firm_do_not_hold_up_anothers_first(make_bench: MakeBench) -> None:
    bench = make_bench(max_running=1)  # so that they end in the order in which they were admitted
    ended: list[str] = []

    def noting(one: Asked) -> None:
        end, name = one.sequence.ended, one.sequence.tenant

        def note() -> None:
            ended.append(name)
            end()

        one.sequence.ended = note

    asked = [bench.ask(tenant="busy", max_tokens=2) for _ in range(20)]
    asked += [bench.ask(tenant="small", max_tokens=2) for _ in range(2)]
    for one in asked:
        noting(one)
    bench.scheduler.start()
    for one in asked:
        one.wait()
    assert ended[:5] == ["busy", "small", "busy", "small", "busy"]
    assert len(ended) == 22


def test_a_long_prompt_does_not_stall_others(make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = make_bench(step_tokens=64)
    steps = watched_steps(bench, monkeypatch)
    answering = bench.ask(max_tokens=80, endless=True)
    long = bench.ask(list(range(1, 1501)), max_tokens=1)
    short = bench.ask(list(range(1, 101)), max_tokens=1)
    first_of_long = -(-answering.sequence.capacity // BLOCK)  # blocks go out in order
    first_of_short = first_of_long + -(-long.sequence.capacity // BLOCK)
    bench.scheduler.start()
    for one in (answering, long, short):
        one.wait()
    chunks = [dict(step) for step in steps if first_of_long in dict(step)]
    assert len(chunks) > 20
    # Between any two chunks of the long prompt, the one that answers got its token.
    assert all(step.get(0) == 1 for step in chunks[1:])
    assert all(sum(step.values()) <= 64 for step in chunks)
    # The short prompt was read while the long one still was, and held it up no more than by its share.
    last_of_short = max(index for index, step in enumerate(steps) if first_of_short in dict(step))
    last_of_long = max(index for index, step in enumerate(steps) if first_of_long in dict(step))
    assert last_of_short < last_of_long - 15
    assert all(step[first_of_long] >= 15 for step in chunks[:-1])


def test_a_line_that_is_too_long_refuses_and_says_when_to_come_back(make_bench: MakeBench) -> None:
    bench = make_bench(max_running=1, max_waiting=4)
    waiting = [bench.ask(tenant="a") for _ in range(2)]
    with pytest.raises(EngineError, match="Too many") as refused:
        bench.ask(tenant="a")
    assert (refused.value.status, refused.value.code) == (429, "engine_busy")
    assert refused.value.retry_after is not None
    assert 1 <= refused.value.retry_after <= 60
    other = bench.ask(tenant="b")  # one firm never takes all places
    bench.scheduler.start()
    for one in (*waiting, other):
        assert one.wait().finish_reason == "length"
    assert bench.ask(tenant="a").wait().finish_reason == "length"


def test_a_refused_request_has_ended_without_a_word(make_bench: MakeBench) -> None:
    bench = make_bench(max_waiting=1)
    bench.ask()
    refused = bench.make()
    with pytest.raises(EngineError):
        bench.scheduler.submit(refused.sequence)
    assert (refused.endings, refused.events) == (1, [])
    assert bench.scheduler.load == 1


def test_whoever_hangs_up_while_waiting_frees_the_place_in_the_line(make_bench: MakeBench) -> None:
    bench = make_bench(max_running=1, max_waiting=2)
    running = bench.ask(tenant="a", max_tokens=3000, endless=True)
    bench.scheduler.start()
    while not running.events:
        threading.Event().wait(0.01)
    waiting = bench.ask(tenant="a")
    with pytest.raises(EngineError):
        bench.ask(tenant="a")
    bench.scheduler.cancel(waiting.sequence)
    waiting.wait()  # at the next step, while the first still runs
    assert not running.over.is_set()
    assert waiting.events == []
    again = bench.ask(tenant="a")
    bench.scheduler.cancel(running.sequence)
    assert again.wait().finish_reason == "length"


def test_many_come_and_go_and_nothing_is_left(make_bench: MakeBench) -> None:
    bench = make_bench(step_tokens=32)
    bench.scheduler.start()
    asked: list[Asked] = []
    for number in range(40):
        scope = bytes([number % 3]) * 32 if number % 3 else b""
        one = bench.ask(
            list(range(1, 2 + number * 7 % 90)),
            tenant=str(number % 3),
            scope=scope,
            max_tokens=number % 5 + 1,
        )
        asked.append(one)
        if number % 6 == 5:
            bench.scheduler.cancel(asked[number - number % 4].sequence)
    for one in asked:
        one.wait()
    assert {one.endings for one in asked} == {1}
    assert all(one.finish_reason or one.sequence.cancelled for one in asked)
    assert (bench.scheduler.load, bench.pool.used_blocks) == (0, 0)
