"""One completion: who asks for what on which terms, the engine's answer under the firm's own name for the
adapter, and the row that says what it took.

Two short pieces of database work, at the start and at the end, and as many calls of Redis; while the engine
works nothing is held.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.utils import timezone

from webapp.core.asynchronous import in_database
from webapp.core.errors import AppError, Invalid
from webapp.core.tenancy import tenant_scope
from webapp.core.traces import frames_only
from webapp.gateway import callers, errors, requests, selectors
from webapp.serving import shadow
from webapp.serving.engine import Event, Route, engine
from webapp.tenants.models import ApiKey
from webapp.usage import metering, services
from webapp.usage.metering import STREAM_OPTIONS, Meter
from webapp.usage.models import Source, request_id

log = logging.getLogger(__name__)

_leaving: set[asyncio.Future[None]] = set()  # the loop itself would not keep them
SOURCES = {Route.CHAT: Source.CHAT, Route.COMPLETION: Source.COMPLETION}


@dataclass(frozen=True)
class Opened:
    """A request whose row is open: what is asked, what answers, and what counts it."""

    route: Route
    ask: requests.Ask
    resolved: selectors.Resolved
    meter: Meter
    copy: shadow.Copy

    @property
    def wants_usage(self) -> bool:
        options: dict[str, bool] = self.ask.body.get("stream_options") or {}
        return options.get("include_usage", False)


async def answer(request: HttpRequest, route: Route) -> HttpResponseBase:
    """The answer, whole or as a stream. Raises AppError; every row that was opened is closed."""
    began = time.monotonic()
    opening = asyncio.ensure_future(in_database(_open)(request, route, began))
    try:
        opened = await asyncio.shield(opening)
    except asyncio.CancelledError:  # the client has left; the thread goes on, and its row must be closed
        opening.add_done_callback(_give_up)
        raise
    if opened.ask.stream:
        response: HttpResponseBase = await _stream(opened)
    else:
        response = JsonResponse(await _whole(opened))
    response["Cache-Control"] = "no-store"
    for name, value in (_headers(opened) | opened.meter.standing.headers).items():
        response[name] = value
    return response


def numbered(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Every answer has a number that its usage row can be found by, also one that has no row."""
    if "x-request-id" not in response:
        response["x-request-id"] = request_id(getattr(request, "usage_row", None) or uuid.uuid4())
    return response


def _open(request: HttpRequest, route: Route, began: float) -> Opened:
    """Raises AppError. From the moment that the key is known, the request leaves a row whatever happens."""
    started_at = timezone.now()
    key = callers.known_key(request)
    with tenant_scope(key.tenant_id, viewer=key.member_id):
        callers.know_member(key)
        refused: AppError | None = None
        try:
            opened = _admit(request, route, key, started_at, began)
        except AppError as error:
            refused = error  # raised outside, where it does not take its own row back
            request.usage_row = services.record_refused(  # type: ignore[attr-defined]
                member=key.member,
                key=key,
                source=SOURCES[route],
                started_at=started_at,
                status=int(error.status),
                code=error.code,
            )
    if refused is not None:
        raise refused
    opened.meter.let_in()  # now that its row is there for everybody to see
    return opened


def _admit(request: HttpRequest, route: Route, key: ApiKey, started_at: datetime, began: float) -> Opened:
    """The request with its row open. Raises AppError, before anything is written."""
    callers.may_complete(key)
    try:
        ask = requests.parse(request.body, route)
    except RequestDataTooBig:
        raise Invalid("The request is too large; shorten the prompt.", code="too_large") from None
    resolved = selectors.resolve(key, ask)
    meter = metering.open_meter(
        member=key.member,
        key=key,
        version=resolved.version,
        source=SOURCES[route],
        asked=ask.body,
        max_tokens=requests.MAX_TOKENS if ask.max_tokens is None else ask.max_tokens,
        answers=ask.answers,
        started_at=started_at,
        began=began,
    )
    request.usage_row = meter.ticket.id  # type: ignore[attr-defined]
    copy = shadow.start(route, ask.body, resolved.shadow, key.tenant_id)
    return Opened(route, ask, resolved, meter, copy)


def _give_up(opening: asyncio.Future[Opened]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        leaving = asyncio.ensure_future(opening.result().meter.left())
        _leaving.add(leaving)
        leaving.add_done_callback(_leaving.discard)


async def _whole(opened: Opened) -> Event:
    meter = opened.meter
    async with meter.asking():
        found = await engine().complete(
            opened.route,
            opened.ask.body,
            version=opened.resolved.version,
            tenant_id=meter.ticket.tenant_id,
        )
        meter.whole(found)
        opened.copy.heard(found)
    await meter.answered()
    opened.copy.ended()
    return {**found, "model": opened.resolved.label}


async def _stream(opened: Opened) -> StreamingHttpResponse:
    meter = opened.meter
    async with meter.asking():
        chunks = await engine().stream(
            opened.route,
            {**opened.ask.body, "stream_options": STREAM_OPTIONS},
            version=opened.resolved.version,
            tenant_id=meter.ticket.tenant_id,
        )
    events = _Events(opened, chunks, asyncio.get_running_loop())
    response = StreamingHttpResponse(events, content_type="text/event-stream")
    response["X-Accel-Buffering"] = "no"
    return response


@dataclass(frozen=True)
class _Events:
    """The stream, which is given up when its response is closed before it began."""

    opened: Opened
    chunks: AsyncGenerator[Event, None]
    loop: asyncio.AbstractEventLoop

    def __aiter__(self) -> AsyncGenerator[str, None]:
        return _events(self.opened, self.chunks)

    def close(self) -> None:
        """Called by Django in a thread, after the last event or instead of the first."""
        if self.opened.meter.is_open and not self.loop.is_closed():
            asyncio.run_coroutine_threadsafe(self._give_up(), self.loop)

    async def _give_up(self) -> None:
        await self.opened.meter.left()
        await self.chunks.aclose()


async def _events(opened: Opened, chunks: AsyncGenerator[Event, None]) -> AsyncGenerator[str, None]:
    """The engine's chunks as server-sent events under the firm's own name for the adapter."""
    meter = opened.meter
    try:
        async with meter.asking(), aclosing(chunks):
            async for chunk in chunks:
                meter.chunk(chunk)
                opened.copy.heard(chunk)
                shown = _shown(chunk, wants_usage=opened.wants_usage)
                if shown is not None:
                    yield _event({**shown, "model": opened.resolved.label})
    except AppError as error:  # the status line is long gone; OpenAI's clients raise on this event
        yield _event(errors.body(error))
        return
    except Exception as error:
        log.error("A stream failed:\n%s", frames_only(error))
        yield _event(errors.body(errors.Fault()))
        return
    await meter.answered()
    opened.copy.ended()
    yield "data: [DONE]\n\n"


def _shown(chunk: Event, *, wants_usage: bool) -> Event | None:
    """The chunk as its client asked for it: the engine was asked for more counts than OpenAI's API has."""
    if not chunk.get("choices"):
        return chunk if wants_usage or not chunk.get("usage") else None
    rest = {name: value for name, value in chunk.items() if name != "usage"}
    return {**rest, "usage": None} if wants_usage else rest


def _event(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, separators=(',', ':'))}\n\n"


def _headers(opened: Opened) -> dict[str, str]:
    """What answered, by which row it is accounted for, and how long it took until now (OpenAI's names)."""
    version = opened.resolved.version
    headers = {
        "X-Housestyle-Adapter": opened.resolved.label,
        "x-request-id": request_id(opened.meter.ticket.id),
        "openai-processing-ms": str(round((time.monotonic() - opened.meter.began) * 1000)),
    }
    if version is not None:
        headers["X-Housestyle-Adapter-Version"] = str(version.number)
        headers["X-Housestyle-Adapter-Digest"] = version.sha256
    return headers
