"""Several engines behind one client: which is asked, what is tried again, and what never is."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any, TypeVar

import pytest
from starlette.responses import JSONResponse

from tests.engines.stand_in import StandIn, standing_in
from tests.engines.versions import version
from webapp.adapters.models import AdapterVersion
from webapp.core.errors import Unavailable
from webapp.serving.engine import AWAY, BROKEN_OFF, Engine, EngineRefused, Route, cache_salt
from webapp.serving.engine import client as client_module
from webapp.serving.engine.answers import retry_after
from webapp.serving.engine_settings import Kind, Replica

BODY = {"messages": [{"role": "user", "content": "Hello"}]}
FIRM = uuid.uuid4()
T = TypeVar("T")


@pytest.fixture(scope="module")
def started() -> Iterator[list[StandIn]]:
    with ExitStack() as stack:
        yield [stack.enter_context(standing_in(name)) for name in ("one", "two", "three")]


@pytest.fixture
def engines(started: list[StandIn], settings: Any) -> list[StandIn]:
    """Three embedded engines."""
    settings.ENGINES = tuple(Replica(each.name, Kind.EMBEDDED, each.url, "token") for each in started)
    return [each.reset() for each in started]


@pytest.fixture
def vllm(started: list[StandIn], settings: Any, base_folder: None) -> StandIn:
    engine = started[0].reset()
    settings.ENGINES = (Replica(f"v{uuid.uuid4().hex[:8]}", Kind.VLLM, engine.url, "token", 4),)
    return engine


@pytest.fixture
def base_folder(settings: Any) -> None:
    from tests.models import tiny_model_folder

    settings.BASE_MODEL_DIR = tiny_model_folder()


def asked(work: Callable[[Engine], Coroutine[Any, Any, T]]) -> T:
    async def run() -> T:
        return await work(Engine())

    return asyncio.run(run())


async def whole(engine: Engine, of: AdapterVersion | None) -> str:
    """Which engine answered."""
    answer = await engine.complete(Route.CHAT, BODY, version=of, tenant_id=FIRM)
    assert answer["model"] == (of.engine_name if of else "base")
    return str(answer["choices"][0]["message"]["content"])


async def streamed(engine: Engine, of: AdapterVersion | None) -> list[str]:
    chunks = await engine.stream(Route.CHAT, BODY, version=of, tenant_id=FIRM)
    return [chunk["choices"][0]["delta"]["content"] async for chunk in chunks]


ASKS: tuple[Callable[..., Coroutine[Any, Any, object]], ...] = (whole, streamed)


def by_name(engines: list[StandIn], name: str) -> StandIn:
    return next(engine for engine in engines if engine.name == name)


def test_an_adapter_is_asked_where_it_is_and_adapters_are_spread(engines: list[StandIn]) -> None:
    versions = [version() for _ in range(12)]

    async def ask(engine: Engine) -> list[set[str]]:
        return [{await whole(engine, each) for _ in range(3)} for each in versions]

    answered = asked(ask)
    assert all(len(who) == 1 for who in answered)
    assert len(set.union(*answered)) == 3
    assert sum(engine.loads for engine in engines) == 12


def test_an_engine_that_is_away_is_passed_over(engines: list[StandIn], settings: Any) -> None:
    one = version()
    first = asked(lambda engine: whole(engine, one))
    gone = by_name(engines, first)
    settings.ENGINES = tuple(
        Replica(each.name, Kind.EMBEDDED, "http://127.0.0.1:1" if each is gone else each.url, "token")
        for each in engines
    )
    answered = [asked(lambda engine: whole(engine, one)), asked(lambda engine: streamed(engine, one))[0]]
    assert first not in answered and len(set(answered)) == 1


def test_an_engine_that_failed_is_not_asked_first_for_a_while(engines: list[StandIn]) -> None:
    async def twice(engine: Engine) -> tuple[int, int]:
        one = version()
        bad = by_name(engines, await whole(engine, one))
        bad.failure = "drop"
        before = len(bad.asked)
        await streamed(engine, one)
        after = len(bad.asked)
        await streamed(engine, one)
        return after - before, len(bad.asked) - after

    assert asked(twice) == (1, 0)


def test_all_engines_away_is_an_error_and_not_a_wait(settings: Any) -> None:
    settings.ENGINES = tuple(
        Replica(name, Kind.EMBEDDED, f"http://127.0.0.1:{port}", "token")
        for port, name in enumerate(("one", "two"), 1)
    )
    for ask in ASKS:
        with pytest.raises(Unavailable) as away:
            asked(partial(ask, of=None))
        assert away.value.message == AWAY


def test_a_stream_that_breaks_before_its_first_chunk_is_asked_of_another(engines: list[StandIn]) -> None:
    one = version()
    bad = by_name(engines, asked(lambda engine: whole(engine, one)))
    bad.failure = "drop"
    answered = asked(lambda engine: streamed(engine, one))
    assert len(answered) == 3 and bad.name not in answered


def test_a_stream_that_breaks_later_ends_with_an_error_and_is_asked_of_nobody_else(
    engines: list[StandIn],
) -> None:
    one = version()
    bad = by_name(engines, asked(lambda engine: whole(engine, one)))
    before = sum(len(engine.asked) for engine in engines)
    bad.failure = "break"
    with pytest.raises(Unavailable) as broken:
        asked(lambda engine: streamed(engine, one))
    assert broken.value.message == BROKEN_OFF
    assert sum(len(engine.asked) for engine in engines) == before + 1


def test_an_engine_that_forgot_is_told_again_and_asked_once_more(engines: list[StandIn]) -> None:
    one = version()
    asked(lambda engine: whole(engine, one))
    for engine in engines:
        engine.forget()
    assert asked(lambda engine: streamed(engine, one))
    assert sum(engine.loads for engine in engines) == 2


def test_a_refusal_is_passed_on_with_when_to_come_back(engines: list[StandIn]) -> None:
    busy = {"error": {"message": "Too much to do.", "type": "x", "param": None, "code": "engine_busy"}}
    for engine in engines:
        engine.failure = JSONResponse(busy, 429, {"Retry-After": "7"})
    for ask in ASKS:
        with pytest.raises(EngineRefused) as refused:
            asked(partial(ask, of=None))
        assert (refused.value.status, refused.value.retry_after) == (429, 7)
        assert (refused.value.message, refused.value.code) == ("Too much to do.", "engine_busy")
    assert sum(len(engine.asked) for engine in engines) == 2, "a refusal is not tried elsewhere"


@pytest.mark.parametrize(("header", "seconds"), [(None, None), ("0", 0), ("999999", 3600), ("soon", None)])
def test_only_seconds_are_understood_as_a_time_to_wait(header: str | None, seconds: int | None) -> None:
    assert retry_after(header) == seconds


def test_an_answer_of_another_model_is_withheld(engines: list[StandIn]) -> None:
    for engine in engines:
        engine.failure = "another"
    with pytest.raises(Unavailable, match="answered as another model"):
        asked(lambda engine: whole(engine, version()))


def test_a_busy_engine_is_relieved_by_the_idlest(
    engines: list[StandIn], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "UNEVEN", 2)

    async def many(engine: Engine) -> set[str]:
        one = version()
        for stand_in in engines:
            stand_in.failure = "hold"
        chunks = [await engine.stream(Route.CHAT, BODY, version=one, tenant_id=FIRM) for _ in range(9)]
        who = {(await anext(each))["choices"][0]["delta"]["content"] for each in chunks}
        for each in chunks:
            await each.aclose()
        for stand_in in engines:
            stand_in.hold.set()
        return who

    assert len(asked(many)) == 3


def test_a_vllm_is_asked_for_the_base_through_the_empty_adapter(vllm: StandIn) -> None:
    assert asked(lambda engine: whole(engine, None)) == "one"
    assert asked(lambda engine: streamed(engine, None)) == ["one"] * 3
    assert vllm.loads == 1
    assert "base" not in vllm.asked
    assert vllm.bodies[-1]["cache_salt"] == cache_salt(FIRM)
    assert vllm.bodies[-1]["temperature"] == 1.0, "not what the model's generation_config.json says"


def test_a_vllm_without_a_place_says_when_to_come_back_and_goes_on(vllm: StandIn) -> None:
    """Two places: a third adapter waits until one of the others is idle."""

    async def three(engine: Engine) -> str:
        vllm.failure = "hold"
        chunks = [await engine.stream(Route.CHAT, BODY, version=version(), tenant_id=FIRM) for _ in range(2)]
        third = version()
        with pytest.raises(EngineRefused) as full:
            await whole(engine, third)
        assert (full.value.status, full.value.retry_after, full.value.code) == (503, 10, "engine_busy")
        await chunks[0].aclose()
        answered = await whole(engine, third)
        await chunks[1].aclose()
        vllm.hold.set()
        return answered

    assert asked(three) == "one"
    assert vllm.most <= 3
