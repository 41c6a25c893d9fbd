"""What the gateway adds to an answer, and how many streams one web process carries at once."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

import httpx

from benchmarks import serving_engine
from benchmarks.product import a_member, product, web
from benchmarks.serving_work import BASE

ASKED, STREAMS, STREAM_TOKENS = 300, 200, 24


def measure(model: Path) -> dict[str, Any]:
    """`gateway_overhead_ms_p50`: the same one-token request through the product's web process against the
    engine itself, in turn; `streams` at once, and how many of them came whole."""
    with (
        product(),
        serving_engine.running(model, "--max-num-seqs", "64", "--max-waiting", str(2 * STREAMS)) as engine,
    ):
        os.environ["DJANGO_SETTINGS_MODULE"] = "webapp.settings"
        os.environ["HOUSESTYLE_ENGINE_URL"] = engine.url
        os.environ["HOUSESTYLE_ENGINE_TOKEN"] = serving_engine.TOKEN
        os.environ["HOUSESTYLE_CONCURRENT_REQUESTS"] = str(2 * STREAMS)
        key = _key()
        with web() as url:
            overhead = _overhead(engine, url, key)
            whole = asyncio.run(_streams(url, key))
    return {"gateway_overhead_ms_p50": overhead, "streams": STREAMS, "whole_streams": whole}


def _key() -> str:
    """The secret of a key that may name the base: nothing needs to be trained for it."""
    member = a_member()
    from webapp.core.tenancy import firm_scope
    from webapp.gateway import services

    with firm_scope(member.tenant_id):
        _, secret = services.make_key(
            member=member, name="Benchmark", wanted=services.Wanted(may_use_base=True)
        )
    return secret


def _overhead(engine: serving_engine.RunningEngine, url: str, key: str) -> float:
    """Milliseconds at the median."""
    body = {"model": BASE, "prompt": "The court", "max_tokens": 1, "temperature": 0}
    headers = {"Authorization": f"Bearer {key}"}
    through: list[float] = []
    direct: list[float] = []
    with httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False) as gateway:
        for turn in range(ASKED + 20):
            for http, seconds in ((engine.http, direct), (gateway, through)):
                began = time.perf_counter()
                http.post("/v1/completions", json=body).raise_for_status()
                if turn >= 20:
                    seconds.append(time.perf_counter() - began)
    return 1000 * (statistics.median(through) - statistics.median(direct))


async def _streams(url: str, key: str) -> int:
    """How many of as many streams at once came with every token and their end."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(
        base_url=url,
        headers={"Authorization": f"Bearer {key}"},
        timeout=httpx.Timeout(600, pool=None),
        limits=limits,
        trust_env=False,
    ) as http:
        return sum(await asyncio.gather(*(_stream(http, at) for at in range(STREAMS))))


async def _stream(http: httpx.AsyncClient, number: int) -> bool:
    body = {
        "model": BASE,
        "prompt": f"Matter {number}. The court",
        "max_tokens": STREAM_TOKENS,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    tokens, reason, done = 0, None, False
    async with http.stream("POST", "/v1/completions", json=body) as response:
        async for line in response.aiter_lines():
            if line == "data: [DONE]":
                done = True
            elif line.startswith("data: {"):
                chunk = json.loads(line.removeprefix("data: "))
                reason = next(
                    (c["finish_reason"] for c in chunk.get("choices", []) if c["finish_reason"]), reason
                )
                tokens = (chunk.get("usage") or {}).get("completion_tokens", tokens)
    return done and (tokens == STREAM_TOKENS if reason == "length" else reason == "stop")
