"""POST /v1/chat/completions and /v1/completions: an answer at once, or as server-sent events."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from workers.serving.answer import Answer
from workers.serving.choices import ChatChoice, Choice, Piece, TextChoice
from workers.serving.engine import Engine
from workers.serving.errors import EngineError
from workers.serving.protocol import ChatRequest, CompletionRequest, parse

_MAX_BODY = 8 * 1024 * 1024  # bytes, far above any prompt that fits a context


async def chat(request: Request) -> Response:
    engine: Engine = request.app.state.engine
    body = parse(ChatRequest, await read_body(request))
    messages = [message.for_template() for message in body.messages]
    wishes = body.wishes
    answer = await engine.chat(body.model, messages, wishes)
    choices = [
        ChatChoice(index, engine.text, logprobs=wishes.logprobs is not None)
        for index in range(wishes.answers)
    ]
    return await _respond(request, body, answer, _Told("chatcmpl-", "chat.completion", ".chunk", choices))


async def complete(request: Request) -> Response:
    engine: Engine = request.app.state.engine
    body = parse(CompletionRequest, await read_body(request))
    wishes = body.wishes
    answer = await engine.complete(body.model, body.prompt, wishes)
    asked = [
        prompt for prompt in zip(body.prompt, answer.prompts, strict=True) for _ in range(wishes.answers)
    ]
    choices = [
        TextChoice(
            index,
            engine.text,
            logprobs=wishes.logprobs is not None,
            echo=_echo(engine, *prompt) if body.echo else None,
            silent=wishes.limit == 0,
        )
        for index, prompt in enumerate(asked)
    ]
    return await _respond(request, body, answer, _Told("cmpl-", "text_completion", "", choices))


def _echo(engine: Engine, prompt: str | list[int], tokens: list[int]) -> str:
    return prompt if isinstance(prompt, str) else engine.text.decode(tokens)


@dataclass(frozen=True)
class _Told:
    """The form of a response: the beginning of its id, what it is, what a piece of it is called beside
    that, and its choices."""

    prefix: str
    kind: str
    piece: str
    choices: Sequence[Choice]


async def read_body(request: Request) -> bytes:
    """The request's body. Raises EngineError (413) before a huge one fills the memory."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _MAX_BODY:
            raise EngineError(f"The request is larger than {_MAX_BODY} bytes: shorten it.", status=413)
    return bytes(body)


async def _respond(
    request: Request, body: ChatRequest | CompletionRequest, answer: Answer, told: _Told
) -> Response:
    head = {"id": told.prefix + uuid.uuid4().hex, "created": int(time.time()), "model": body.model}
    if body.stream:
        head["object"] = told.kind + told.piece
        return _EventStream(answer, _events(answer, head, told.choices, body))
    whole = await _unless_gone(request, answer, told.choices)
    if whole is None:
        return Response(status_code=499)  # nobody is there to read it
    choices = [choice.whole(piece) for choice, piece in zip(told.choices, whole, strict=True)]
    return JSONResponse(
        {**head, "object": told.kind, "choices": choices, "usage": _usage(answer, told.choices)}
    )


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


async def _events(
    answer: Answer,
    head: dict[str, Any],
    choices: Sequence[Choice],
    body: ChatRequest | CompletionRequest,
) -> AsyncIterator[str]:
    """The answers in the pieces and the order in which OpenAI sends them."""

    def chunk(choice: dict[str, Any]) -> str:
        so_far = _usage(answer, choices) if body.usage_of_chunks else None
        return _event({**head, "choices": [choice], **({"usage": so_far} if body.include_usage else {})})

    opened: set[int] = set()
    try:
        async for index, event in answer.events():
            choice = choices[index]
            if index not in opened:  # not before: a request that fails at once is told of by its first event
                opened.add(index)
                if opening := choice.opening():
                    yield chunk(opening)
            if piece := choice.piece(event):
                yield chunk(choice.chunk(piece))
        if body.include_usage:
            yield _event({**head, "choices": [], "usage": _usage(answer, choices)})
    except EngineError as error:
        yield _event(error.body())  # the status line is long gone
    yield "data: [DONE]\n\n"


def _event(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False, separators=(',', ':'))}\n\n"


def _usage(answer: Answer, choices: Sequence[Choice]) -> dict[str, int]:
    silent = any(isinstance(choice, TextChoice) and choice.silent for choice in choices)
    prompt, completion = answer.prompt_tokens, 0 if silent else answer.completion_tokens
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


async def _unless_gone(request: Request, answer: Answer, choices: Sequence[Choice]) -> list[Piece] | None:
    """All that was answered, or None, with it given up, when the client hangs up first."""
    reading = asyncio.create_task(_collect(answer, choices))
    gone = asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait({reading, gone}, return_when=asyncio.FIRST_COMPLETED)
        return reading.result() if reading.done() else None
    finally:
        answer.close()
        for task in (reading, gone):
            task.cancel()
        await asyncio.gather(reading, gone, return_exceptions=True)


async def _collect(answer: Answer, choices: Sequence[Choice]) -> list[Piece]:
    pieces = [Piece() for _ in choices]
    async for index, event in answer.events():
        if piece := choices[index].piece(event):
            pieces[index].extend(piece)
    return pieces


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
