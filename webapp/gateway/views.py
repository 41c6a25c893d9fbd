"""`/v1/...` for OpenAI's clients: the API key decides the firm, and with it the adapter that answers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from webapp.core.asynchronous import in_database
from webapp.core.errors import AppError, NotFound
from webapp.core.tenancy import tenant_scope
from webapp.core.traces import frames_only
from webapp.gateway import answering, errors, selectors
from webapp.gateway.callers import key_of
from webapp.serving.engine import Route

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
                response = await view(request)
            except AppError as error:
                response = errors.response(error)
            except Exception as error:
                log.error("A completion request failed:\n%s", frames_only(error))
                response = errors.response(errors.Fault())
            return answering.numbered(request, response)

        return guarded

    return decorate


@endpoint("POST")
async def chat_completions(request: HttpRequest) -> HttpResponseBase:
    return await answering.answer(request, Route.CHAT)


@endpoint("POST")
async def completions(request: HttpRequest) -> HttpResponseBase:
    return await answering.answer(request, Route.COMPLETION)


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


def _cards(request: HttpRequest) -> list[dict[str, Any]]:
    key = key_of(request)
    with tenant_scope(key.tenant_id, viewer=key.member_id):
        return selectors.cards(key)
