"""Letting requests in: requests and tokens a minute, requests at a time, tokens a month, per key and per
firm.

One Lua script in Redis decides, so that parallel requests of any number of web processes can never pass a
limit together. The truth of a budget is the database: where Redis has lost what it knew, nothing is let in
before its counts have been rebuilt from there. While Redis is away, nothing is let in that has a limit set.
"""

from __future__ import annotations

import logging
import math
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from webapp.core.errors import AppError, Unavailable
from webapp.usage import selectors
from webapp.usage.allowances import Allowance, Known

log = logging.getLogger(__name__)

SCRIPT = (Path(__file__).parent / "limits.lua").read_text()
WINDOW_SECONDS = 60
# A request whose process is gone frees its place after so long; one under way is renewed well before.
LEASE_SECONDS = 60
PATIENCE_SECONDS = 1.5  # for one answer of Redis, which gives them in less than a millisecond
GONE_SECONDS = 0.5
RETRY_AFTER = 5  # seconds, while Redis is away
REBUILDS = 4  # of two subjects, each of which may be lost once more meanwhile

AWAY = "Limits cannot be checked while Redis is away, so no request is let in; try again in a minute."


class RateLimited(AppError):
    """A limit is reached. `retry_after` is in seconds, None where the same request cannot pass soon."""

    code = "rate_limit_exceeded"
    status = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(
        self, message: str, *, code: str, retry_after: int | None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after
        self.headers = headers or {}


class LimitsAway(Unavailable):
    code = "limits_unavailable"
    retry_after = RETRY_AFTER

    def __init__(self) -> None:
        super().__init__(AWAY)


@dataclass(frozen=True)
class Ticket:
    """A request that asks to be let in; `tokens` is the most that it can use. Its row is open already.
    `key_id`: the key whose limits it has, the first of its key's line of rotations."""

    id: uuid.UUID
    tenant_id: uuid.UUID
    key_id: uuid.UUID | None
    started_at: datetime
    tokens: int
    firm: Allowance
    key: Allowance

    @property
    def limited(self) -> list[tuple[str, uuid.UUID | None, Allowance]]:
        """What limits it: `(whose, key, allowance)`, the key first, since its words help a program more."""
        both = [("this API key", self.key_id, self.key), ("your firm", None, self.firm)]
        return [one for one in both if one[2].limits_anything]

    @property
    def fails_closed(self) -> bool:
        return self.firm.fails_closed or self.key.fails_closed


@dataclass(frozen=True)
class Standing:
    """How far a request's limits are used, as OpenAI's headers say it."""

    headers: dict[str, str]


def reserve(ticket: Ticket) -> Standing:
    """Let the request in, or raise RateLimited, or LimitsAway while Redis is away and a limit is set."""
    limited = ticket.limited
    if not limited:
        return Standing({})
    try:
        for _ in range(REBUILDS):
            answer = _call("reserve", ticket, [key for _, key, _ in limited], *_numbers(limited))
            if answer[0] != "rebuild":
                break
            _rebuild(ticket, limited[int(answer[1]) - 1][1])
    except redis.RedisError as error:
        log.warning("Redis is away, so limits cannot be checked: %s", type(error).__name__)
        if ticket.fails_closed:
            raise LimitsAway from None
        return Standing({})
    if answer[0] == "refused":
        raise _refusal(ticket, limited, answer)
    if answer[0] != "granted":
        raise LimitsAway
    return Standing(_headers(limited, answer))


def settle(ticket: Ticket, tokens: int) -> None:
    """The request has ended and used `tokens`; its row is closed already. Never raises: what Redis does not
    hear now, it is told later (`webapp.usage.upkeep`)."""
    try:
        _call("settle", ticket, _subjects(ticket), tokens=tokens)
    except redis.RedisError as error:
        log.warning("Redis is away, so a request's end is told later: %s", type(error).__name__)


def renew(ticket: Ticket) -> None:
    """The request is still under way. Never raises."""
    try:
        _call("renew", ticket, [key for _, key, _ in ticket.limited])
    except redis.RedisError as error:
        log.warning("Redis is away, so a place cannot be kept: %s", type(error).__name__)


def are_checked() -> bool:
    """Whether Redis answers: for the page that says so while it does not."""
    try:
        return bool(_script().registered_client.ping())
    except redis.RedisError:
        return False


def _subjects(ticket: Ticket) -> list[uuid.UUID | None]:
    """All, since a limit may have been set while the request was under way."""
    return [None, ticket.key_id] if ticket.key_id else [None]


def _call(
    name: str, ticket: Ticket, subjects: Sequence[uuid.UUID | None], *more: Any, tokens: int | None = None
) -> list[Any]:
    keys = [key for one in subjects for key in keys_of(ticket.tenant_id, one, ticket.started_at)]
    keys.append(done_key(ticket.tenant_id, ticket.id))
    used = ticket.tokens if tokens is None else tokens
    arguments = [name, ticket.id.hex, used, WINDOW_SECONDS, LEASE_SECONDS, *more]
    return _run(keys, arguments)


def _rebuild(ticket: Ticket, key_id: uuid.UUID | None) -> None:
    known = selectors.known(ticket.tenant_id, key_id, ticket.started_at, seconds=WINDOW_SECONDS)
    keys, arguments = rebuild_arguments(ticket.tenant_id, key_id, ticket.started_at, known)
    _run(keys, arguments)


def rebuild_arguments(
    tenant_id: uuid.UUID, key_id: uuid.UUID | None, month: datetime, known: Known
) -> tuple[list[str], list[Any]]:
    keys = list(keys_of(tenant_id, key_id, month))
    keys += [done_key(tenant_id, one.id) for one in known.open]
    opened = [[one.id.hex, one.tokens, one.second, int(one.this_month)] for one in known.open]
    rows = [value for row in [*opened, *known.recent] for value in row]
    head = ["rebuild", "", 0, WINDOW_SECONDS, LEASE_SECONDS, known.settled, len(known.open)]
    return keys, [*head, *rows]


def keys_of(tenant_id: uuid.UUID, key_id: uuid.UUID | None, month: datetime) -> tuple[str, str, str]:
    """A subject's state, window and leases. The braces keep a firm's keys on one node of a cluster."""
    base = f"housestyle:usage:{{{tenant_id.hex}}}:{key_id.hex if key_id else 'firm'}"
    return f"{base}:state:{month:%Y-%m}", f"{base}:window", f"{base}:leases"


def done_key(tenant_id: uuid.UUID, request: uuid.UUID) -> str:
    return f"housestyle:usage:{{{tenant_id.hex}}}:done:{request.hex}"


def _numbers(limited: Sequence[tuple[str, uuid.UUID | None, Allowance]]) -> list[int]:
    return [-1 if number is None else number for _, _, allowance in limited for number in allowance.numbers]


_SENTENCES = {
    "requests": "Rate limit reached for {whose}: requests a minute, {limit:,} at most. Try again in {wait}.",
    "tokens": "Rate limit reached for {whose}: tokens a minute, {limit:,} at most, of which this request may "
    "use {tokens:,}. Try again in {wait}.",
    "concurrent": "Rate limit reached for {whose}: requests at the same time, {limit:,} at most. "
    "Try again in {wait}.",
    "too_many_tokens": "This request may use {tokens:,} tokens, more than {whose} may use in a minute "
    "({limit:,}); shorten the prompt or lower max_tokens.",
    "monthly_tokens": "This request may use {tokens:,} tokens, and that is more than is left of the "
    "{limit:,} that {whose} may use in this month; lower max_tokens, or ask your firm's admin for more.",
}


def _refusal(
    ticket: Ticket, limited: Sequence[tuple[str, uuid.UUID | None, Allowance]], answer: list[Any]
) -> RateLimited:
    _, number, what, after, requests_left, tokens_left, full = answer
    whose, _, allowance = limited[int(number) - 1]
    wait = max(1, math.ceil(float(after)))
    limit = {
        "requests": allowance.requests,
        "concurrent": allowance.concurrent,
        "monthly_tokens": allowance.monthly,
    }.get(what, allowance.tokens)
    message = _SENTENCES[what].format(
        whose=whose, limit=limit, tokens=ticket.tokens, wait=f"{wait} second{'' if wait == 1 else 's'}"
    )
    headers = _window_headers("requests", allowance.requests, int(requests_left), float(full))
    headers |= _window_headers("tokens", allowance.tokens, int(tokens_left), float(full))
    if what in ("monthly_tokens", "too_many_tokens"):  # OpenAI's clients would send it again
        code = "insufficient_quota" if what == "monthly_tokens" else "rate_limit_exceeded"
        headers["x-should-retry"] = "false"
        return RateLimited(message, code=code, retry_after=None, headers=headers)
    return RateLimited(message, code="rate_limit_exceeded", retry_after=wait, headers=headers)


def _headers(limited: Sequence[tuple[str, uuid.UUID | None, Allowance]], answer: list[Any]) -> dict[str, str]:
    """Of each kind the limit of which least is left."""
    _, full, *left = answer
    headers: dict[str, str] = {}
    for kind, first in (("requests", 0), ("tokens", 1)):
        numbers = [getattr(allowance, kind) for _, _, allowance in limited]
        standing = [
            (int(rest), limit)
            for limit, rest in zip(numbers, left[first::2], strict=True)
            if limit is not None
        ]
        if standing:
            rest, limit = min(standing)
            headers |= _window_headers(kind, limit, rest, float(full))
    return headers


def _window_headers(kind: str, limit: int | None, left: int, reset: float) -> dict[str, str]:
    if limit is None:
        return {}
    return {
        f"x-ratelimit-limit-{kind}": str(limit),
        f"x-ratelimit-remaining-{kind}": str(left),
        f"x-ratelimit-reset-{kind}": f"{reset:.3f}".rstrip("0").rstrip(".") + "s",
    }


_clients: dict[str, Any] = {}
_gone_until = 0.0


def _run(keys: list[str], arguments: list[Any]) -> list[Any]:
    """Raises RedisError. Once Redis did not answer it is not asked for a moment: waiting for it takes the
    threads that other requests need."""
    global _gone_until
    if time.monotonic() < _gone_until:
        raise redis.ConnectionError("Redis was away a moment ago.")
    try:
        found: list[Any] = _script()(keys=keys, args=arguments)
    except (redis.ConnectionError, redis.TimeoutError):
        _gone_until = time.monotonic() + GONE_SECONDS
        raise
    return found


def _script() -> Any:
    url = settings.REDIS_URL
    if url not in _clients:
        client = redis.Redis.from_url(
            url,
            decode_responses=True,
            socket_timeout=PATIENCE_SECONDS,
            socket_connect_timeout=PATIENCE_SECONDS,
            # A connection that broke while idle is made anew once. The script may then run twice, which
            # changes nothing: it knows every request by its id.
            retry=Retry(NoBackoff(), 1),
        )
        _clients[url] = client.register_script(SCRIPT)
    return _clients[url]
