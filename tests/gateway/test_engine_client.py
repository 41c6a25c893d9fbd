"""The engine client by itself: how streams end, well and badly."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

import httpx
import pytest

from tests.models import tiny_model_folder
from tests.serving.engines import TOKEN, RunningEngine, running_engine
from webapp.core.errors import Unavailable
from webapp.serving.engine import BROKEN_OFF, EngineRefused, Route, cache_salt, engine
from webapp.serving.engine.answers import _lines

pytestmark = pytest.mark.xdist_group("web")

BODY = {"messages": [{"role": "user", "content": "Hello"}], "temperature": 0}


async def text_of(body: dict[str, Any]) -> str:
    chunks = await engine().stream(Route.CHAT, body, version=None, tenant_id=uuid.uuid4())
    return "".join([chunk["choices"][0]["delta"].get("content", "") async for chunk in chunks])


def test_a_stream_says_what_the_whole_answer_says(with_engine: RunningEngine) -> None:
    async def both() -> tuple[str, str]:
        body = {**BODY, "max_tokens": 40}
        whole = await engine().complete(Route.CHAT, body, version=None, tenant_id=uuid.uuid4())
        return whole["choices"][0]["message"]["content"], await text_of(body)

    whole, streamed = asyncio.run(both())
    assert whole
    assert streamed == whole


def test_a_refused_prompt_is_refused_before_the_stream_begins(with_engine: RunningEngine) -> None:
    with pytest.raises(EngineRefused) as refused:
        asyncio.run(text_of({**BODY, "max_tokens": 100_000}))
    assert refused.value.code == "context_length_exceeded"
    assert refused.value.status == 400


def test_an_engine_that_dies_in_the_middle_ends_the_stream_with_an_error(settings: Any) -> None:
    async def until_it_dies(running: RunningEngine) -> None:
        chunks = await engine().stream(
            Route.CHAT, {**BODY, "max_tokens": 1500}, version=None, tenant_id=uuid.uuid4()
        )
        running.process.kill()
        async for _ in chunks:
            pass

    with running_engine(tiny_model_folder()) as running:
        settings.ENGINE_URL, settings.ENGINE_TOKEN = running.url, TOKEN
        with pytest.raises(Unavailable) as broken:
            asyncio.run(until_it_dies(running))
    assert broken.value.message == BROKEN_OFF


def test_a_dropped_stream_frees_the_engine(with_engine: RunningEngine) -> None:
    async def drop() -> None:
        chunks = await engine().stream(
            Route.CHAT, {**BODY, "max_tokens": 1500}, version=None, tenant_id=uuid.uuid4()
        )
        del chunks  # before its first use, as when a client hangs up while the answer is being sent
        while with_engine.load_now():
            await asyncio.sleep(0.01)

    asyncio.run(drop())


def test_firms_share_no_cache_salt_and_it_names_no_firm() -> None:
    one, two = uuid.uuid4(), uuid.uuid4()
    assert cache_salt(one) == cache_salt(one) != cache_salt(two)
    assert one.hex not in cache_salt(one)


def test_only_a_line_feed_ends_a_line_of_a_stream() -> None:
    """An answer may hold U+2028, which the engine sends as it is."""

    async def lines() -> list[bytes]:
        response = httpx.Response(200, content='data: {"text": "a\u2028b\x85c"}\n\n'.encode())
        return [line async for line in _lines(response)]

    first, *_ = asyncio.run(lines())
    assert json.loads(first.removeprefix(b"data:")) == {"text": "a\u2028b\x85c"}
