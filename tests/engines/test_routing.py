"""30 adapters at once, each with a mark of its own, and the base among them: whose words has each answer?"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Coroutine
from typing import Any

import pytest

from tests.engines.conftest import ADAPTERS, KINDS, SLOTS, SPARE, Marked
from tests.engines.versions import version
from tests.serving.engines import RunningEngine
from webapp.adapters.models import AdapterVersion
from webapp.serving.empty_adapter import EMPTY
from webapp.serving.engine import Engine, Route
from webapp.serving.engine_settings import Kind, Replica

pytestmark = pytest.mark.xdist_group("engines")

WORDS = 3
PROMPTS = ("The court held", "Put the citations of this passage into our house style.")
BASE_BODY = {"prompt": PROMPTS[0], "max_tokens": WORDS, "temperature": 0}
AT_ONCE, BASE_ASKS = 24, 15
FIRM = uuid.uuid4()

Versions = list[tuple[AdapterVersion, str]]


@pytest.fixture(scope="module")
def versions(marked: list[Marked]) -> Versions:
    return [(version(each.folder, name=each.mark.lower()), each.mark) for each in marked]


async def ask(engine: Engine, of: AdapterVersion, mark: str, prompt: str, *, stream: bool) -> None:
    """One request, whose answer is the mark and nothing else."""
    body = {"prompt": prompt, "max_tokens": WORDS, "temperature": 0}
    if stream:
        chunks = await engine.stream(Route.COMPLETION, body, version=of, tenant_id=of.tenant_id)
        events = [chunk async for chunk in chunks]
    else:
        events = [await engine.complete(Route.COMPLETION, body, version=of, tenant_id=of.tenant_id)]
    assert {event["model"] for event in events} == {of.engine_name}
    said = "".join(event["choices"][0]["text"] for event in events if event["choices"])
    assert said.split() == [mark] * WORDS


async def base_words(engine: Engine) -> str:
    answer = await engine.complete(Route.COMPLETION, BASE_BODY, version=None, tenant_id=FIRM)
    assert answer["model"] == "base"
    return str(answer["choices"][0]["text"])


async def at_once(work: list[Coroutine[Any, Any, Any]]) -> list[Any]:
    """All of it, so many at a time as a busy gateway has under way."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(each: Coroutine[Any, Any, Any]) -> Any:
        async with places:
            return await each

    return await asyncio.gather(*map(one, work))


def test_each_of_30_adapters_answers_with_its_own_mark_and_the_base_with_none(
    running: RunningEngine, as_only_engine: Replica, versions: Versions
) -> None:
    async def run() -> None:
        engine = Engine()
        alone = await base_words(engine)
        assert not any(mark in alone for _, mark in versions)
        asks = [
            ask(engine, each, mark, prompt, stream=number % 2 == 0)
            for number, (each, mark) in enumerate(versions[:ADAPTERS])
            for prompt in PROMPTS
        ]
        work = [*asks, *(base_words(engine) for _ in range(BASE_ASKS))]
        random.Random(0).shuffle(work)
        answered = await at_once(work)
        assert [words for words in answered if words is not None] == [alone] * BASE_ASKS

    asyncio.run(run())


@pytest.mark.skipif(KINDS == [Kind.EMBEDDED], reason="only a vLLM has places: make test-vllm")
def test_more_adapters_than_places_take_turns_and_the_base_stays_the_base(
    running: RunningEngine, as_only_engine: Replica, versions: Versions
) -> None:
    """vLLM never lets go of a slot, so after these all of them have been taken: where it reads "no adapter"
    as the last slot, the base would answer with a mark."""
    most = 0

    async def watch() -> None:
        nonlocal most
        while True:
            loaded = await asyncio.to_thread(running.http.get, "/v1/models")
            most = max(most, len(loaded.json()["data"]) - 1)
            await asyncio.sleep(0.02)

    async def run() -> None:
        engine = Engine()
        alone = await base_words(engine)
        watching = asyncio.create_task(watch())
        for first in range(0, ADAPTERS + SPARE, 8):
            some = versions[first : first + 8]
            work = [ask(engine, each, mark, prompt, stream=True) for each, mark in some for prompt in PROMPTS]
            answered = await at_once([*work, *(base_words(engine) for _ in range(8))])
            assert [words for words in answered if words is not None] == [alone] * 8
        watching.cancel()

    asyncio.run(run())
    if as_only_engine.kind is Kind.VLLM:
        assert most == SLOTS - 1
        assert EMPTY in running.http.get("/v1/models").text
