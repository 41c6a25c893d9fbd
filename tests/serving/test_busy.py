"""The engine over HTTP when it has more to do than places: who waits, who is refused, who frees a place."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests.serving.engines import RunningEngine

ASKS: dict[str, dict[str, Any]] = {
    "/v1/completions": {"prompt": "The"},
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "?"}]},
}


@contextmanager
def streaming(engine: RunningEngine, **settings: Any) -> Iterator[httpx.Response]:
    """A long answer, read no further than its head."""
    body = {
        "model": "base",
        "prompt": "The",
        "max_tokens": 1500,
        "temperature": 0,
        "stream": True,
        **settings,
    }
    with engine.http.stream("POST", "/v1/completions", json=body) as response:
        assert response.status_code == 200
        yield response


def until(engine: RunningEngine, load: int) -> None:
    deadline = time.monotonic() + 30
    while engine.load_now() != load:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("path", ASKS)
def test_a_full_line_answers_429_and_says_when_to_come_back(narrow_engine: RunningEngine, path: str) -> None:
    with streaming(narrow_engine) as running:
        lines = running.iter_lines()  # kept: httpx hangs up once nobody holds it
        next(lines)  # it runs, and the line is empty
        with streaming(narrow_engine):
            until(narrow_engine, 2)
            for stream in (False, True):
                body = {"model": "base", "stream": stream, **ASKS[path]}
                refused = narrow_engine.http.post(path, json=body)
                assert refused.status_code == 429
                error = refused.json()["error"]
                assert (error["type"], error["code"]) == ("rate_limit_error", "engine_busy")
                assert 1 <= int(refused.headers["retry-after"]) <= 60
            assert narrow_engine.http.get("/health").status_code == 200
    until(narrow_engine, 0)


def test_one_firms_line_leaves_another_its_place(narrow_engine: RunningEngine) -> None:
    with streaming(narrow_engine, cache_salt="a") as running:
        lines = running.iter_lines()
        next(lines)
        with streaming(narrow_engine, cache_salt="a"):
            until(narrow_engine, 2)
            assert narrow_engine.complete("base", "The", cache_salt="a").status_code == 429
            with streaming(narrow_engine, cache_salt="b"):
                until(narrow_engine, 3)
    until(narrow_engine, 0)


def test_whoever_hangs_up_while_waiting_frees_the_place(narrow_engine: RunningEngine) -> None:
    with streaming(narrow_engine) as running:
        lines = running.iter_lines()
        next(lines)
        with streaming(narrow_engine):
            until(narrow_engine, 2)
            assert narrow_engine.complete("base", "The").status_code == 429
        until(narrow_engine, 1)  # while the first is still answered
        with streaming(narrow_engine):
            until(narrow_engine, 2)
    until(narrow_engine, 0)
    assert narrow_engine.complete("base", "The").status_code == 200
