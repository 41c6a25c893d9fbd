"""The web's way to the engine, which speaks OpenAI's API and vLLM's adapter calls on a loopback port.

A request names the base or one adapter version by its engine name, and nothing else ever answers in its
place: an adapter that the engine does not know yet is loaded and asked once more, and where that fails the
caller gets an error.
"""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import aclosing
from enum import StrEnum
from http import HTTPStatus
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import httpx
from django.conf import settings
from django.utils.crypto import salted_hmac

from webapp.adapters.models import AdapterVersion
from webapp.core.errors import AppError, Unavailable
from webapp.serving import loading

log = logging.getLogger(__name__)

BASE = "base"
AWAY = "The model engine is not answering; try again in a minute, and tell your operator if it stays away."
BROKEN_OFF = "The answer broke off because the model engine went away; send the prompt again."
# A whole answer is one read: on a small machine, behind a queue of long prompts, it takes minutes.
TIMEOUT = httpx.Timeout(connect=5, read=600, write=30, pool=None)
LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=20)

Event = dict[str, Any]
T = TypeVar("T")


class Route(StrEnum):
    CHAT = "/v1/chat/completions"
    COMPLETION = "/v1/completions"
    TOKENIZE = "/tokenize"


class EngineRefused(AppError):
    """The engine says what is wrong with a request: a prompt that is too long, a setting out of bounds."""

    def __init__(
        self, message: str, *, status: int, code: str | None = None, param: str | None = None
    ) -> None:
        super().__init__(message, code=code or "invalid", fields={param: message} if param else None)
        self.status = HTTPStatus(status)


class Engine:
    """The engine as one event loop sees it: its connections, and one load of each adapter at a time."""

    def __init__(self) -> None:
        self._client = httpx.AsyncClient(
            base_url=settings.ENGINE_URL,
            headers={"Authorization": f"Bearer {settings.ENGINE_TOKEN}"},
            timeout=TIMEOUT,
            limits=LIMITS,
            trust_env=False,  # a proxy has no business between two processes of one machine
        )
        self._loading: dict[str, asyncio.Lock] = {}

    async def complete(
        self, route: Route, body: Mapping[str, Any], *, version: AdapterVersion | None, tenant_id: uuid.UUID
    ) -> Event:
        """The whole answer as the engine gives it. `version` None asks the base. Raises AppError."""
        asked = {**body, "stream": False}
        asked.pop("stream_options", None)
        response = await self._ask(route, asked, version, tenant_id)
        try:
            answer = json.loads(await response.aread())
        except (httpx.TransportError, ValueError):
            raise Unavailable(BROKEN_OFF) from None
        finally:
            await response.aclose()
        return _of(version, answer)

    async def tokens(
        self, messages: Sequence[Mapping[str, str]], *, add_generation_prompt: bool
    ) -> list[str]:
        """A conversation's tokens under the base's chat template, as its vocabulary writes them.

        Raises AppError.
        """
        asked = {
            "model": BASE,
            "messages": list(messages),
            "add_generation_prompt": add_generation_prompt,
            "return_token_strs": True,
        }
        response = await self._send(Route.TOKENIZE, asked)
        try:
            await self._call(response.aread())
        finally:
            await response.aclose()
        if response.status_code != HTTPStatus.OK:
            raise _refusal(response, None)
        strings: list[str] = response.json()["token_strs"]
        return strings

    async def stream(
        self, route: Route, body: Mapping[str, Any], *, version: AdapterVersion | None, tenant_id: uuid.UUID
    ) -> AsyncGenerator[Event, None]:
        """The answer's chunks as they come. Raises AppError, here or in the middle of the iteration.

        The first chunk has been read on return, so that a refusal is still a status and not an event.
        Closing or dropping the iterator ends the engine's work on it.
        """
        response = await self._ask(route, {**body, "stream": True}, version, tenant_id)
        chunks = _chunks(response, version)
        first = await anext(chunks, None)
        if first is None:
            raise Unavailable(BROKEN_OFF)
        return _with_first(first, chunks)

    async def _ask(
        self, route: Route, body: Event, version: AdapterVersion | None, tenant_id: uuid.UUID
    ) -> httpx.Response:
        """An open, successful response; an adapter that the engine does not know is loaded, once."""
        body["model"] = version.engine_name if version else BASE
        body["cache_salt"] = cache_salt(tenant_id)
        response = await self._send(route, body)
        if response.status_code == HTTPStatus.NOT_FOUND and version is not None:
            await response.aclose()
            async with self._loading.setdefault(version.engine_name, asyncio.Lock()):
                await self._call(loading.load(self._client, version))
            response = await self._send(route, body)
        if response.status_code == HTTPStatus.OK:
            return response
        try:
            await self._call(response.aread())
        finally:
            await response.aclose()
        raise _refusal(response, version)

    async def _send(self, route: Route, body: Event) -> httpx.Response:
        try:
            content = json.dumps(body, allow_nan=False)
        except ValueError:  # JSON has no such numbers, though Python reads 1e999
            raise EngineRefused(
                "A number in the request is not finite; send ordinary numbers.", status=400
            ) from None
        request = self._client.build_request(
            "POST", route.value, content=content, headers={"Content-Type": "application/json"}
        )
        return await self._call(self._client.send(request, stream=True))

    async def _call(self, call: Awaitable[T]) -> T:
        try:
            return await call
        except httpx.TransportError as error:
            log.warning("The engine is not answering: %s", type(error).__name__)
            raise Unavailable(AWAY) from None


_engines: WeakKeyDictionary[asyncio.AbstractEventLoop, Engine] = WeakKeyDictionary()


def engine() -> Engine:
    """The engine for the running event loop: connections cannot be shared between loops."""
    return _engines.setdefault(asyncio.get_running_loop(), Engine())


def cache_salt(tenant_id: uuid.UUID) -> str:
    """Keeps one firm's cached prefixes out of another's timing (CVE-2025-46570), and names no firm."""
    return salted_hmac("housestyle.cache_salt", str(tenant_id), algorithm="sha256").hexdigest()


async def _chunks(response: httpx.Response, version: AdapterVersion | None) -> AsyncGenerator[Event, None]:
    """The chunks of a server-sent stream up to its `[DONE]`. Raises AppError at any other end."""
    try:
        async for line in _lines(response):
            if not line.startswith(b"data:"):
                continue
            data = line.removeprefix(b"data:").strip()
            if data == b"[DONE]":
                return
            chunk = json.loads(data)
            if "error" in chunk:
                raise _as_error(chunk, HTTPStatus.INTERNAL_SERVER_ERROR)
            yield _of(version, chunk)
    except (httpx.TransportError, ValueError):
        raise Unavailable(BROKEN_OFF) from None
    finally:
        await response.aclose()
    raise Unavailable(BROKEN_OFF)


async def _lines(response: httpx.Response) -> AsyncIterator[bytes]:
    """Lines up to a line feed; httpx's own also end at U+2028 and U+0085, which answers may contain."""
    rest = b""
    async for part in response.aiter_bytes():
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            yield line


async def _with_first(first: Event, rest: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
    async with aclosing(rest):
        yield first
        async for chunk in rest:
            yield chunk


def _of(version: AdapterVersion | None, answer: Any) -> Event:
    """The answer, once it is sure who gave it: a firm must never read another adapter's words."""
    asked = version.engine_name if version else BASE
    if not isinstance(answer, dict) or answer.get("model") != asked:
        log.error("The engine answered as another model than %s, so the answer was withheld.", asked)
        raise Unavailable("The model engine answered as another model, so its answer was withheld.")
    return answer


def _refusal(response: httpx.Response, version: AdapterVersion | None) -> AppError:
    status = HTTPStatus(response.status_code)
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        log.error("The engine refuses this process: both need the same HOUSESTYLE_ENGINE_TOKEN.")
        return Unavailable(AWAY)
    if status == HTTPStatus.NOT_FOUND:
        return Unavailable(f"The model engine has lost {version or 'the base model'}; try again in a minute.")
    try:
        return _as_error(response.json(), status)
    except ValueError:
        return Unavailable(AWAY)


def _as_error(body: Any, status: HTTPStatus) -> AppError:
    """The engine's own sentence, in OpenAI's error shape, as one of our errors."""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict) or not isinstance(error.get("message"), str):
        return Unavailable(AWAY)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Unavailable(error["message"])
    code, param = error.get("code"), error.get("param")
    return EngineRefused(
        error["message"],
        status=status,
        code=code if isinstance(code, str) else None,
        param=param if isinstance(param, str) else None,
    )
