"""The way of a request to `/v1` through Django: the one of pages without what only pages need.

Programs send no cookies and get no markup. Sessions, CSRF, messages and static files are middleware that
Django runs in a thread of the request's own, which costs more than all that a completion has to do here.
"""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import Any

from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.security import SecurityMiddleware


def _any(value: object) -> Any:
    """What Django's stubs know too little of."""
    return value


class GatewayHandler(ASGIHandler):
    """Of the middleware of pages it keeps the rules of transport: allowed hosts, HTTPS alone, no sniffing."""

    def load_middleware(self, is_async: bool = False) -> None:
        self._view_middleware: list[Any] = []
        self._template_response_middleware: list[Any] = []
        self._exception_middleware: list[Any] = []
        security = SecurityMiddleware(lambda request: HttpResponse())

        async def answer(request: HttpRequest) -> HttpResponseBase:
            request.get_host()  # raises DisallowedHost, which is a 400
            refused = security.process_request(request)
            response: HttpResponseBase = refused or await _any(self)._get_response_async(request)
            if isinstance(response, HttpResponse):
                response["Content-Length"] = str(len(response.content))
            return _any(security).process_response(request, response)  # type: ignore[no-any-return]

        self._middleware_chain = convert_exception_to_response(answer)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        with closing(body):
            request, refused = self.create_request(scope, body)
            if request is None:
                await self.send_response(_any(refused), send)
                return
            answering = asyncio.create_task(self._answer(request, send))
            leaving = asyncio.create_task(self.listen_for_disconnect(receive))
            try:
                await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
            finally:
                answering.cancel()  # does nothing to one that is done
                leaving.cancel()
                await asyncio.gather(answering, leaving, return_exceptions=True)
            if not answering.cancelled():
                answering.result()  # raises what went wrong

    async def _answer(self, request: HttpRequest, send: Any) -> None:
        response = await self.get_response_async(request)
        try:
            await self.send_response(response, send)
        finally:
            response.close()
