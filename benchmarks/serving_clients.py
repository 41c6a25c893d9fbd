"""Clients of an OpenAI-compatible server that stream their answers and keep what came when."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx

from benchmarks.serving_work import Ask


@dataclass(frozen=True)
class Answered:
    """One answer: tokens generated, seconds from asking to the first and to the last of them."""

    tokens: int
    first: float
    whole: float


@dataclass(frozen=True)
class Measured:
    """`tokens_per_s` counts generated tokens over the whole run, prompts being read in the same time."""

    tokens_per_s: float
    ttft_p50: float
    ttft_p90: float
    between_p50: float  # seconds from token to token of one answer
    requests: int


def run_closed(
    url: str, token: str, asks: Sequence[Ask], clients: int, name: Callable[[Ask], str]
) -> Measured:
    """Each of `clients` asks again once it is answered."""

    async def all_of_them() -> tuple[float, list[Answered]]:
        waiting = iter(asks)
        async with _client(url, token) as http:

            async def client() -> list[Answered]:
                return [await _ask(http, name(ask), ask) for ask in waiting]

            began = time.perf_counter()
            answers = await asyncio.gather(*(client() for _ in range(clients)))
            return time.perf_counter() - began, [one for own in answers for one in own]

    return _measured(*asyncio.run(all_of_them()))


def run_open(url: str, token: str, asks: Sequence[Ask], name: Callable[[Ask], str]) -> Measured:
    """Each request comes at its own time, whether the earlier ones are answered or not."""

    async def all_of_them() -> tuple[float, list[Answered]]:
        async with _client(url, token) as http:
            began = time.perf_counter()

            async def at_its_time(ask: Ask) -> Answered:
                await asyncio.sleep(max(0.0, began + ask.at - time.perf_counter()))
                return await _ask(http, name(ask), ask)

            answers = await asyncio.gather(*(at_its_time(ask) for ask in asks))
            return time.perf_counter() - began, list(answers)

    return _measured(*asyncio.run(all_of_them()))


def _client(url: str, token: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=url,
        headers={"Authorization": f"Bearer {token}"},
        timeout=httpx.Timeout(1200, pool=None),
        limits=httpx.Limits(max_connections=None),
        trust_env=False,
    )


async def _ask(http: httpx.AsyncClient, model: str, ask: Ask) -> Answered:
    body = {
        "model": model,
        "prompt": ask.prompt,
        "max_tokens": ask.new_tokens,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    began = time.perf_counter()
    first, tokens = 0.0, 0
    async with http.stream("POST", "/v1/completions", json=body) as response:
        if response.status_code != 200:
            raise RuntimeError(f"HTTP {response.status_code}: {(await response.aread())[:300]!r}")
        async for line in response.aiter_lines():
            if not line.startswith("data: {"):
                continue
            chunk = json.loads(line.removeprefix("data: "))
            if "error" in chunk:
                raise RuntimeError(str(chunk["error"]))
            if chunk.get("choices") and not first:
                first = time.perf_counter() - began
            if chunk.get("usage"):
                tokens = chunk["usage"]["completion_tokens"]
    return Answered(tokens, first, time.perf_counter() - began)


def _measured(seconds: float, answers: list[Answered]) -> Measured:
    firsts = sorted(answer.first for answer in answers)
    between = [(a.whole - a.first) / (a.tokens - 1) for a in answers if a.tokens > 1]
    return Measured(
        tokens_per_s=sum(answer.tokens for answer in answers) / seconds,
        ttft_p50=statistics.median(firsts),
        ttft_p90=firsts[int(0.9 * (len(firsts) - 1))],
        between_p50=statistics.median(between),
        requests=len(answers),
    )
