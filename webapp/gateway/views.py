"""`/v1/...` for OpenAI's clients: the API key decides the firm, and with it the adapter that answers.

Nothing here holds a database transaction while the engine works: the key and the adapter are looked up in
short ones, and the answer then streams without any.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from functools import wraps
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.views.decorators.csrf import csrf_exempt

from webapp.core.asynchronous import in_database
from webapp.core.errors import AppError, Invalid, NotFound
from webapp.core.tenancy import tenant_scope
from webapp.core.traces import frames_only
from webapp.gateway import errors, requests, selectors
from webapp.gateway.callers import key_of
from webapp.serving.engine import Event, Route, engine
from webapp.tenants.models import ApiKey

log = logging.getLogger(__name__)

View = Callable[[HttpRequest], Coroutine[Any, Any, HttpResponseBase]]


def endpoint(method: str) -> Callable[[View], View]:
    """A route that speaks OpenAI's errors whatever happens. It reads no cookie, so CSRF has no hold."""

    def decorate(view: View) -> View:
        @csrf_exempt
        @wraps(view)
        async def guarded(request: HttpRequest) -> HttpResponseBase:
            try:
                if method not in (request.method, "*"):
                    raise errors.WrongMethod(f"Send this request with {method}.")
                return await view(request)
            except AppError as error:
                return errors.response(error)
            except Exception as error:
                log.error("A completion request failed:\n%s", frames_only(error))
                return errors.response(errors.Fault())

        return guarded

    return decorate


@endpoint("POST")
async def chat_completions(request: HttpRequest) -> HttpResponseBase:
    return await _answer(request, Route.CHAT)


@endpoint("POST")
async def completions(request: HttpRequest) -> HttpResponseBase:
    return await _answer(request, Route.COMPLETION)


@endpoint("GET")
async def models(request: HttpRequest) -> HttpResponseBase:
    """What the key may name, the live version marked."""
    return JsonResponse({"object": "list", "data": await in_database(_cards)(request)})


@endpoint("GET")
async def model(request: HttpRequest) -> HttpResponseBase:
    """One model of that list."""
    name = request.path.partition("/v1/models/")[2]
    for card in await in_database(_cards)(request):
        if card["id"] == name:
            return JsonResponse(card)
    raise errors.ModelNotFound


@endpoint("*")
async def nowhere(request: HttpRequest) -> HttpResponseBase:
    await in_database(key_of)(request)
    raise NotFound("There is no such route; see /v1/chat/completions, /v1/completions and /v1/models.")


async def _answer(request: HttpRequest, route: Route) -> HttpResponseBase:
    key, ask, resolved = await in_database(_resolve)(request, route)
    version, label = resolved.version, resolved.label
    answer: HttpResponseBase
    if ask.stream:
        chunks = await engine().stream(route, ask.body, version=version, tenant_id=key.tenant_id)
        answer = StreamingHttpResponse(_events(chunks, label), content_type="text/event-stream")
        answer["X-Accel-Buffering"] = "no"
    else:
        whole = await engine().complete(route, ask.body, version=version, tenant_id=key.tenant_id)
        answer = JsonResponse({**whole, "model": label})
    answer["Cache-Control"] = "no-store"
    answer["X-Housestyle-Adapter"] = label
    if version is not None:
        answer["X-Housestyle-Adapter-Digest"] = version.sha256
    return answer


async def _events(chunks: AsyncGenerator[Event, None], model: str) -> AsyncGenerator[str, None]:
    """The engine's chunks as server-sent events under the firm's own name for the adapter."""
    async with aclosing(chunks):
        try:
            async for chunk in chunks:
                yield _event({**chunk, "model": model})
        except AppError as error:  # the status line is long gone; OpenAI's clients raise on this event
            yield _event(errors.body(error))
            return
    yield "data: [DONE]\n\n"


def _event(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, separators=(',', ':'))}\n\n"


def _resolve(request: HttpRequest, route: Route) -> tuple[ApiKey, requests.Ask, selectors.Resolved]:
    """Who asks, what is asked, and what answers."""
    key = key_of(request)
    try:
        ask = requests.parse(request.body, route)
    except RequestDataTooBig:
        raise Invalid("The request is too large; shorten the prompt.", code="too_large") from None
    with tenant_scope(key.tenant_id, viewer=key.member_id):
        return key, ask, selectors.resolve(key, ask)


def _cards(request: HttpRequest) -> list[dict[str, Any]]:
    key = key_of(request)
    with tenant_scope(key.tenant_id, viewer=key.member_id):
        return selectors.cards(key)
