"""Who is let in: exact under parallel load, rebuilt after a loss, closed while Redis is away."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
import redis
from django.utils import timezone

from webapp.core.embedded.valkey import Valkey
from webapp.usage import limits, selectors
from webapp.usage.allowances import UNLIMITED, Allowance, Known, Open
from webapp.usage.limits import LimitsAway, RateLimited, Ticket

pytestmark = pytest.mark.xdist_group("web")

THREADS = 40


@pytest.fixture(autouse=True)
def nothing_before(monkeypatch: pytest.MonkeyPatch, own_redis: Valkey) -> None:
    """As for a firm without usage; what the database says is asked in test_rebuilding."""
    knows(monkeypatch, Known())
    monkeypatch.setattr(limits, "GONE_SECONDS", 0)
    monkeypatch.setattr(limits, "_gone_until", 0)


def knows(monkeypatch: pytest.MonkeyPatch, known: Known) -> list[uuid.UUID | None]:
    """Let the database know this; the keys that it was asked for."""
    asked: list[uuid.UUID | None] = []

    def answer(tenant_id: uuid.UUID, key_id: uuid.UUID | None, *_: Any, **__: Any) -> Known:
        asked.append(key_id)
        return known

    monkeypatch.setattr(selectors, "known", answer)
    return asked


FIRM, KEY = uuid.uuid4(), uuid.uuid4()


def ticket(
    firm: Allowance = UNLIMITED, key: Allowance = UNLIMITED, tokens: int = 1, key_id: uuid.UUID = KEY
) -> Ticket:
    return Ticket(uuid.uuid4(), FIRM, key_id, timezone.now(), tokens, firm, key)


def let_in(one: Ticket) -> dict[str, str] | RateLimited:
    try:
        return limits.reserve(one).headers
    except RateLimited as error:
        return error


def settle(one: Ticket, tokens: int) -> None:
    limits.settle(one, tokens)


def refused(one: Ticket) -> RateLimited:
    answer = let_in(one)
    assert isinstance(answer, RateLimited), answer
    return answer


def granted(one: Ticket) -> dict[str, str]:
    answer = let_in(one)
    assert isinstance(answer, dict), answer
    return answer


@pytest.mark.parametrize(
    ("firm", "key"),
    [
        (UNLIMITED, Allowance(requests=10)),
        (UNLIMITED, Allowance(tokens=100)),
        (UNLIMITED, Allowance(concurrent=10)),
        (UNLIMITED, Allowance(monthly=100)),
        (Allowance(requests=10), Allowance(requests=1000)),
        (Allowance(monthly=100), UNLIMITED),
    ],
    ids=["requests", "tokens", "concurrent", "budget", "the firm's", "the firm's budget"],
)
def test_of_forty_at_once_exactly_ten_are_let_in(firm: Allowance, key: Allowance) -> None:
    barrier = Barrier(THREADS)

    def ask(_: int) -> bool:
        one = ticket(firm, key, tokens=10)
        barrier.wait()
        return isinstance(let_in(one), dict)

    with ThreadPoolExecutor(THREADS) as pool:
        assert sum(pool.map(ask, range(THREADS))) == 10


def test_what_one_limit_refuses_uses_up_no_other() -> None:
    firm = Allowance(requests=3)
    other = uuid.uuid4()
    granted(ticket(firm, Allowance(requests=1)))
    for _ in range(5):
        refused(ticket(firm, Allowance(requests=1)))
    for _ in range(2):
        granted(ticket(firm, key_id=other))
    assert "your firm" in refused(ticket(firm, key_id=other)).message


def test_a_window_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WINDOW_SECONDS", 1)
    own = Allowance(requests=2, tokens=50)
    granted(ticket(key=own, tokens=5))
    granted(ticket(key=own, tokens=5))
    error = refused(ticket(key=own, tokens=5))
    assert error.retry_after in (1, 2)

    while isinstance(let_in(ticket(key=own, tokens=5)), RateLimited):
        time.sleep(0.1)


def test_tokens_are_reserved_and_then_counted_as_they_were() -> None:
    own = Allowance(tokens=100, monthly=1000)
    first = ticket(key=own, tokens=90)
    assert granted(first)["x-ratelimit-remaining-tokens"] == "10"
    assert refused(ticket(key=own, tokens=20)).code == "rate_limit_exceeded"
    settle(first, 30)
    assert granted(ticket(key=own, tokens=20))["x-ratelimit-remaining-tokens"] == "50"


def test_an_end_that_is_told_twice_counts_once() -> None:
    own = Allowance(tokens=100, concurrent=1)
    first = ticket(key=own, tokens=50)
    granted(first)
    for _ in range(3):
        settle(first, 20)
    assert granted(ticket(key=own, tokens=10))["x-ratelimit-remaining-tokens"] == "70"
    refused(ticket(key=own))


def test_a_place_is_free_again_when_its_request_ends_or_its_process_is_dead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = Allowance(concurrent=1)
    first = ticket(key=own)
    granted(first)
    assert refused(ticket(key=own)).retry_after == 1
    settle(first, 0)
    monkeypatch.setattr(limits, "LEASE_SECONDS", 0.2)
    second = ticket(key=own)
    granted(second)  # and its process dies: nobody renews or settles it
    while isinstance(let_in(ticket(key=own)), RateLimited):
        time.sleep(0.05)


def test_a_place_is_kept_for_as_long_as_it_is_renewed(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    own = Allowance(concurrent=1)
    first = ticket(key=own)
    granted(first)
    monkeypatch.setattr(limits, "LEASE_SECONDS", 1000)
    limits.renew(first)
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        ((_, until),) = client.zrange(limits.keys_of(FIRM, KEY, first.started_at)[2], 0, -1, withscores=True)
    assert until > timezone.now().timestamp() + 900


def test_a_months_budget_ends_with_the_month() -> None:
    own = Allowance(monthly=100)
    one = ticket(key=own, tokens=100)
    granted(one)
    settle(one, 100)
    error = refused(ticket(key=own))
    assert (error.code, error.retry_after) == ("insufficient_quota", None)
    assert error.headers["x-should-retry"] == "false"
    next_month = timezone.now().replace(day=1) + timedelta(days=32)
    granted(Ticket(uuid.uuid4(), FIRM, KEY, next_month, 100, UNLIMITED, own))


def test_a_request_that_could_never_pass_is_told_so() -> None:
    error = refused(ticket(key=Allowance(tokens=50), tokens=60))
    assert "lower max_tokens" in error.message
    assert error.headers["x-should-retry"] == "false"


def test_headers_are_of_the_limit_of_which_least_is_left() -> None:
    headers = granted(
        ticket(Allowance(requests=3, tokens=500), Allowance(requests=100, tokens=50), tokens=10)
    )
    assert headers["x-ratelimit-limit-requests"] == "3"
    assert headers["x-ratelimit-remaining-requests"] == "2"
    assert headers["x-ratelimit-limit-tokens"] == "50"
    assert headers["x-ratelimit-remaining-tokens"] == "40"
    for kind in ("requests", "tokens"):
        assert 59 < float(headers[f"x-ratelimit-reset-{kind}"].removesuffix("s")) <= 61


def test_nothing_is_asked_of_redis_where_nothing_is_limited(valkey: Valkey) -> None:
    valkey.stop()
    assert granted(ticket()) == {}


def test_redis_away_closes_what_has_a_limit_set_and_nothing_else(valkey: Valkey) -> None:
    valkey.stop()
    by_default = Allowance(concurrent=32)
    assert granted(ticket(by_default)) == {}
    for set_one in (Allowance(monthly=10**9), Allowance(concurrent=5, is_set=True), Allowance(requests=9)):
        with pytest.raises(LimitsAway) as away:
            let_in(ticket(key=set_one))
        assert "Redis is away" in away.value.message
        assert away.value.status == 503 and away.value.retry_after > 0
    settle(ticket(by_default), 5)  # says nothing


def test_what_redis_lost_is_rebuilt_from_the_database_before_anything_passes(
    monkeypatch: pytest.MonkeyPatch, valkey: Valkey, settings: Any
) -> None:
    own = Allowance(requests=5, tokens=500, concurrent=3, monthly=1000)
    granted(ticket(key=own))
    valkey.stop()
    valkey.start(print)  # it keeps nothing on disk
    settings.REDIS_URL = valkey.url
    now = int(timezone.now().timestamp())
    under_way = ticket(key=own, tokens=200)
    known = Known(700, [Open(under_way.id, 200, now, True)], [(now, 2, 300)])
    asked = knows(monkeypatch, known)
    headers = granted(ticket(key=own, tokens=100))
    assert asked == [KEY]
    assert headers["x-ratelimit-remaining-requests"] == "2"
    assert headers["x-ratelimit-remaining-tokens"] == "100"
    assert refused(ticket(key=own, tokens=1)).code == "insufficient_quota"
    settle(under_way, 50)
    granted(ticket(key=own, tokens=150))
    assert asked == [KEY], "once"


def test_a_request_that_a_rebuild_counted_before_it_was_let_in_counts_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its row is open before it asks, so a rebuild at that moment finds it in the database."""
    own = Allowance(requests=5, tokens=500, concurrent=1, monthly=100)
    one = ticket(key=own, tokens=100)
    now = int(timezone.now().timestamp())
    knows(monkeypatch, Known(0, [Open(one.id, 100, now, True)], [(now, 1, 100)]))
    headers = granted(one)
    assert headers["x-ratelimit-remaining-requests"] == "4"
    assert headers["x-ratelimit-remaining-tokens"] == "400"


def test_an_end_that_comes_between_the_database_and_the_rebuild_is_not_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = Allowance(monthly=1000, concurrent=1)
    ended = ticket(key=own, tokens=900)
    settle(ended, 10)  # Redis knew nothing of it then
    now = int(timezone.now().timestamp())
    knows(monkeypatch, Known(0, [Open(ended.id, 900, now, True)], []))
    last = ticket(key=own, tokens=990)
    granted(last)
    settle(last, 990)
    assert refused(ticket(key=own, tokens=1)).code == "insufficient_quota"
