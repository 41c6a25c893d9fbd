"""Through a real web process: clients that leave, processes that are killed, many at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.conftest import Firm
from tests.live import running_web
from tests.usage.conftest import prompt, put_live, rows
from tests.usage.scripted import RunningScript
from tests.usage.test_rows import assert_sums
from webapp.core.tenancy import firm_scope
from webapp.usage import limits, services, upkeep
from webapp.usage.models import Ending, UsageRow

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("web")]

PATIENCE = 30


@pytest.fixture(scope="module")
def site(script: RunningScript, django_db_setup: None) -> Iterator[str]:
    with running_web(script.url) as (url, _):
        yield f"{url}/v1"


def http(url: str, key: str) -> httpx.AsyncClient:
    limits_of_client = httpx.Limits(max_connections=None)
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.AsyncClient(base_url=url, headers=headers, timeout=60, limits=limits_of_client)


async def streamed(client: httpx.AsyncClient, **script: Any) -> tuple[int, int, bool]:
    """Status, words, and whether it came to its end."""
    body = {**prompt(**script), "stream": True}
    async with client.stream("POST", "/chat/completions", json=body) as answer:
        text = (await answer.aread()).decode()
    return answer.status_code, text.count("word "), "[DONE]" in text


def wait_for(firm: Firm, true: Callable[[list[UsageRow]], bool]) -> list[UsageRow]:
    deadline = time.monotonic() + PATIENCE
    while not true(found := rows(firm)):
        assert time.monotonic() < deadline, [(row.status, row.ending) for row in found]
        time.sleep(0.05)
    return found


def all_closed(found: list[UsageRow]) -> bool:
    return bool(found) and all(row.status is not None for row in found)


def test_a_client_that_leaves_is_counted_up_to_there(site: str, firm: Firm, script: RunningScript) -> None:
    put_live(firm)
    key = firm.key(firm.alice)

    async def leave() -> None:
        body = {**prompt(tokens=10_000, wait=0.01), "stream": True}
        async with (
            http(site, key) as client,
            client.stream("POST", "/chat/completions", json=body) as answer,
        ):
            async for line in answer.aiter_lines():
                if line:
                    return

    asyncio.run(leave())
    (row,) = wait_for(firm, all_closed)
    assert (row.status, row.ending) == (499, Ending.LEFT)
    assert row.tokens_in > 0 and 0 < row.tokens_out < 10_000
    assert_sums(firm)


def test_a_client_that_does_not_wait_for_a_whole_answer_is_recorded_too(site: str, firm: Firm) -> None:
    put_live(firm)
    key = firm.key(firm.alice)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{site}/chat/completions",
            json=prompt(tokens=1, wait=PATIENCE),
            headers={"Authorization": f"Bearer {key}"},
            timeout=2,
        )
    (row,) = wait_for(firm, all_closed)
    assert (row.status, row.ending) == (499, Ending.LEFT)
    assert row.tokens_unknown == row.reserved > 0, "how far the engine came nobody knows"
    assert_sums(firm)


def test_many_at_once_pass_a_limit_exactly_and_are_counted_exactly(site: str, firm: Firm) -> None:
    put_live(firm)
    key = firm.key(firm.alice)
    with firm_scope(firm.tenant.id):
        services.set_limits(member=firm.dora, key=None, numbers={"requests_per_minute": 10})

    async def many() -> list[tuple[int, int, bool]]:
        async with http(site, key) as client:
            return await asyncio.gather(*(streamed(client, tokens=5) for _ in range(40)))

    found = asyncio.run(many())
    assert sorted(status for status, _, _ in found) == [200] * 10 + [429] * 30
    assert all(words == 5 and whole for status, words, whole in found if status == 200)
    made = wait_for(firm, all_closed)
    assert len(made) == 40
    assert sum(row.tokens_out for row in made) == 50
    assert_sums(firm)


def test_two_hundred_streams_at_once_through_one_process_come_whole(site: str, firm: Firm) -> None:
    put_live(firm)
    key = firm.key(firm.alice)
    with firm_scope(firm.tenant.id):
        services.set_limits(member=firm.dora, key=None, numbers={"concurrent": 200})

    async def many() -> list[tuple[int, int, bool]]:
        async with http(site, key) as client:
            return await asyncio.gather(*(streamed(client, tokens=4, wait=0.5) for _ in range(200)))

    assert set(asyncio.run(many())) == {(200, 4, True)}
    made = wait_for(firm, all_closed)
    assert (len(made), sum(row.tokens_out for row in made)) == (200, 800)
    assert_sums(firm)


def test_what_a_killed_process_left_is_closed_once_and_frees_its_place(
    script: RunningScript, firm: Firm, django_db_setup: None
) -> None:
    put_live(firm)
    key = firm.key(firm.alice)
    with firm_scope(firm.tenant.id):
        numbers: dict[str, int | None] = {"concurrent": 50, "monthly_tokens": 100_000}
        services.set_limits(member=firm.dora, key=None, numbers=numbers)

    async def interrupted(url: str, kill: Callable[[], None]) -> None:
        async with http(f"{url}/v1", key) as client:
            whole = [streamed(client, tokens=3) for _ in range(3)]
            assert {status for status, _, _ in await asyncio.gather(*whole)} == {200}
            broken = [asyncio.ensure_future(streamed(client, tokens=10_000, wait=0.05)) for _ in range(5)]
            while script.engine.under_way < 5:
                await asyncio.sleep(0.02)
            kill()
            for ended in await asyncio.gather(*broken, return_exceptions=True):
                assert isinstance(ended, httpx.TransportError)

    with running_web(script.url) as (url, process):
        asyncio.run(interrupted(url, process.kill))
    left = [row for row in rows(firm) if row.status is None]
    assert len(left) == 5
    assert upkeep.close_dead() == 0, "they count as alive for as long as their lease runs"
    late = left[0].lease_until + services.ROW_LEASE
    assert upkeep.close_dead(late) == 5
    assert upkeep.close_dead(late) == 0
    closed = [row for row in rows(firm) if row.ending == Ending.BROKEN_OFF]
    assert [row.tokens_unknown for row in closed] == [row.reserved for row in closed]
    assert_sums(firm)
    assert upkeep.tell_redis() == 5
    assert upkeep.tell_redis() == 0
    state, _, leases = limits.keys_of(firm.tenant.id, None, closed[0].started_at)
    client = limits._script().registered_client
    assert client.zcard(leases) == 0
    used = sum(row.tokens_in + row.tokens_out + row.tokens_unknown for row in rows(firm))
    assert client.hmget(state, "settled", "held") == [str(used), "0"]


def test_the_numbers_of_refusals_are_said_as_openai_says_them(site: str, firm: Firm) -> None:
    put_live(firm)
    key = firm.key(firm.alice)
    with firm_scope(firm.tenant.id):
        services.set_limits(member=firm.dora, key=None, numbers={"monthly_tokens": 10})
    body = prompt(tokens=1)
    answer = httpx.post(f"{site}/chat/completions", json=body, headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 429
    error = answer.json()["error"]
    assert (error["type"], error["code"]) == ("insufficient_quota", "insufficient_quota")
    assert answer.headers["x-should-retry"] == "false"
    assert answer.headers["x-request-id"].startswith("req-")
    assert "10 that your firm may use in this month" in error["message"]
