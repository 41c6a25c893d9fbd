"""POST /v1/chat/completions and /v1/completions: an answer at once, or as server-sent events."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from workers.serving.engine import Answer, Engine
from workers.serving.errors import EngineError
from workers.serving.protocol import ChatRequest, CompletionRequest, parse
from workers.serving.sampler import Sampler

_MAX_BODY = 8 * 1024 * 1024  # bytes, far above any prompt that fits a context


@dataclass(frozen=True)
class _Shape:
    """Where the two routes' answers differ."""

    prefix: str
    whole: str
    piece: str
    chat: bool

    def choice(self, text: str, reason: str | None) -> dict[str, Any]:
        said = {"message": {"role": "assistant", "content": text}} if self.chat else {"text": text}
        return {"index": 0, **said, "logprobs": None, "finish_reason": reason}

    def piece_choice(self, text: str, reason: str | None, *, first: bool = False) -> dict[str, Any]:
        delta: dict[str, str] = {"role": "assistant"} if first else {}
        if text or first:
            delta["content"] = text
        said = {"delta": delta} if self.chat else {"text": text}
        return {"index": 0, **said, "logprobs": None, "finish_reason": reason}


_CHAT = _Shape("chatcmpl-", "chat.completion", "chat.completion.chunk", chat=True)
_TEXT = _Shape("cmpl-", "text_completion", "text_completion", chat=False)


async def chat(request: Request) -> Response:
    engine: Engine = request.app.state.engine
    body = parse(ChatRequest, await read_body(request))
    engine.check_model(body.model)
    messages = [{"role": message.role, "content": message.content} for message in body.messages]
    prompt = await asyncio.to_thread(engine.text.encode_chat, messages)
    return await _answer(request, body, prompt, _CHAT)


async def complete(request: Request) -> Response:
    engine: Engine = request.app.state.engine
    body = parse(CompletionRequest, await read_body(request))
    engine.check_model(body.model)
    prompt = body.prompt
    tokens = await asyncio.to_thread(engine.text.encode, prompt) if isinstance(prompt, str) else prompt
    return await _answer(request, body, tokens, _TEXT)


async def read_body(request: Request) -> bytes:
    """The request's body. Raises EngineError (413) before a huge one fills the memory."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _MAX_BODY:
            raise EngineError(f"The request is larger than {_MAX_BODY} bytes: shorten it.", status=413)
    return bytes(body)


async def _answer(
    request: Request, body: ChatRequest | CompletionRequest, prompt: list[int], shape: _Shape
) -> Response:
    engine: Engine = request.app.state.engine
    sampler = Sampler(
        temperature=1.0 if body.temperature is None else body.temperature,
        top_p=1.0 if body.top_p is None else body.top_p,
        seed=body.seed,
    )
    answer = engine.generate(
        body.model,
        prompt,
        limit=body.limit,
        sampler=sampler,
        stops=body.stop,
        cache_salt=body.cache_salt or "",
    )
    head = {"id": shape.prefix + uuid.uuid4().hex, "created": int(time.time()), "model": body.model}
    if body.stream:
        events = _events(answer, {**head, "object": shape.piece}, shape, body.include_usage)
        return _EventStream(answer, events)
    whole = await _unless_gone(request, answer)
    if whole is None:
        return Response(status_code=499)  # nobody is there to read it
    text, reason = whole
    choices = [shape.choice(text, reason)]
    return JSONResponse({**head, "object": shape.whole, "choices": choices, "usage": _usage(answer)})


class _EventStream(StreamingResponse):
    """Server-sent events that give up the answer when the client goes, also before the first event."""

    def __init__(self, answer: Answer, events: AsyncIterator[str]) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"Cache-Control": "no-store"})
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._answer.close()


async def _events(answer: Answer, head: dict[str, Any], shape: _Shape, usage: bool) -> AsyncIterator[str]:
    """The answer in the pieces and the order in which OpenAI sends them."""
    every = {**head, "usage": None} if usage else head
    try:
        opened = not shape.chat
        async for delta in answer.deltas():
            if not opened:  # not before: a request that fails at once is told of by its first event
                yield _event({**every, "choices": [shape.piece_choice("", None, first=True)]})
                opened = True
            yield _event({**every, "choices": [shape.piece_choice(delta.text, delta.finish_reason)]})
        if usage:
            yield _event({**head, "choices": [], "usage": _usage(answer)})
    except EngineError as error:
        yield _event(error.body())  # the status line is long gone
    yield "data: [DONE]\n\n"


def _event(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False, separators=(',', ':'))}\n\n"


def _usage(answer: Answer) -> dict[str, int]:
    prompt, completion = answer.prompt_tokens, answer.completion_tokens
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


async def _unless_gone(request: Request, answer: Answer) -> tuple[str, str | None] | None:
    """The whole text and why it ended, or None, with the answer given up, when the client hangs up first."""
    reading = asyncio.create_task(_collect(answer))
    gone = asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait({reading, gone}, return_when=asyncio.FIRST_COMPLETED)
        return reading.result() if reading.done() else None
    finally:
        answer.close()
        for task in (reading, gone):
            task.cancel()
        await asyncio.gather(reading, gone, return_exceptions=True)


async def _collect(answer: Answer) -> tuple[str, str | None]:
    text, reason = "", None
    async for delta in answer.deltas():
        text += delta.text
        reason = delta.finish_reason
    return text, reason


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
