"""What an engine answers, read: whole answers, the chunks of a stream, and refusals as our errors."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from http import HTTPStatus
from typing import Any

import httpx

from webapp.core.errors import AppError, Unavailable

log = logging.getLogger(__name__)

AWAY = "The model engine is not answering; try again in a minute, and tell your operator if it stays away."
BROKEN_OFF = "The answer broke off because the model engine went away; send the prompt again."
OTHER_MODEL = "The model engine answered as another model, so its answer was withheld."
MAX_RETRY_AFTER = 3600  # seconds

Event = dict[str, Any]
# vLLM says so by its words alone, and ends its sentences with the setting as its code calls it.
_TOO_LONG = re.compile(r"context length|max_model_len")
_SETTING = re.compile(r"\s*\(parameter=[^)]*\)$")


class EngineRefused(AppError):
    """The engine says what is wrong with a request: a prompt that is too long, a setting out of bounds, or
    that it has too much to do. `retry_after` is in seconds, where waiting helps."""

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str | None = None,
        param: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message, code=code or "invalid", fields={param: message} if param else None)
        self.status = HTTPStatus(status)
        self.retry_after = retry_after


class BrokenOff(Unavailable):
    def __init__(self) -> None:
        super().__init__(BROKEN_OFF)


def of(asked: str, answer: Any) -> Event:
    """The answer, once it is sure who gave it: a firm must never read another adapter's words."""
    if not isinstance(answer, dict) or answer.get("model") != asked:
        log.error("The engine answered as another model than %s, so the answer was withheld.", asked)
        raise Unavailable(OTHER_MODEL)
    return answer


async def whole(response: httpx.Response, asked: str) -> Event:
    """The whole answer. Raises AppError."""
    try:
        answer = json.loads(await response.aread())
    except (httpx.TransportError, ValueError):
        raise BrokenOff from None
    return of(asked, answer)


async def chunks(response: httpx.Response, asked: str) -> AsyncGenerator[Event, None]:
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
                raise as_error(chunk, HTTPStatus.INTERNAL_SERVER_ERROR)
            yield of(asked, chunk)
    except (httpx.TransportError, ValueError):
        raise BrokenOff from None
    raise BrokenOff


async def _lines(response: httpx.Response) -> AsyncIterator[bytes]:
    """Lines up to a line feed; httpx's own also end at U+2028 and U+0085, which answers may contain."""
    rest = b""
    async for part in response.aiter_bytes():
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            yield line


async def with_first(first: Event, rest: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
    async with aclosing(rest):
        yield first
        async for chunk in rest:
            yield chunk


def refusal(response: httpx.Response, label: str) -> AppError:
    """A response that is no answer, read before, as one of our errors. `label` is who was asked."""
    status = HTTPStatus(response.status_code)
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        log.error("The engine at %s refuses this process: both need the same token.", response.url.host)
        return Unavailable(AWAY)
    if status == HTTPStatus.NOT_FOUND:
        return Unavailable(f"The model engine has lost {label}; try again in a minute.")
    try:
        return as_error(response.json(), status, retry_after(response.headers.get("Retry-After")))
    except ValueError:
        return Unavailable(AWAY)


def as_error(body: Any, status: HTTPStatus, wait: int | None = None) -> AppError:
    """The engine's own sentence, in OpenAI's error shape, as one of our errors.

    vLLM repeats the status as `code` and says by its words alone that a prompt is too long.
    """
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict) or not isinstance(error.get("message"), str):
        return Unavailable(AWAY)
    message, code, param = _SETTING.sub("", error["message"]), error.get("code"), error.get("param")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR and wait is None:
        return Unavailable(message)
    if not isinstance(code, str):
        code = "context_length_exceeded" if _TOO_LONG.search(message) else None
    return EngineRefused(
        message, status=status, code=code, param=param if isinstance(param, str) else None, retry_after=wait
    )


def retry_after(header: str | None) -> int | None:
    """The seconds that an engine asks to wait; None where it says none. A date is not understood."""
    if header is None or not re.fullmatch(r"[0-9]{1,6}", header.strip()):
        return None
    return min(int(header), MAX_RETRY_AFTER)
