"""An engine that says and does what the prompt tells it, for the ends that a real one has rarely.

The prompt is JSON: `tokens` to say, `wait` seconds before each, `die_after` so many, `status` to refuse with,
and which `usage` it tells of ("each" chunk, at the "end", or "never"). A prompt has as many tokens as it has
characters.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn

Send = Callable[[dict[str, Any]], Awaitable[None]]
JSON_TYPE = [(b"content-type", b"application/json")]


@dataclass(frozen=True)
class Script:
    tokens: int = 3
    wait: float = 0
    die_after: int | None = None
    status: int = 200
    usage: str = "each"


class Died(Exception):
    """The connection ends in the middle, as when the process is killed."""


class Scripted:
    """What it was asked, and how it answers."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.under_way = 0

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Send) -> None:
        if scope["type"] != "http":
            return
        raw = b""
        while True:
            message = await receive()
            raw += message.get("body", b"")
            if not message.get("more_body"):
                break
        if "completions" not in scope["path"]:
            await _json(send, 200, {"object": "list", "data": []})
            return
        body = json.loads(raw)
        self.bodies.append(body)
        self.under_way += 1
        left = asyncio.ensure_future(_left(receive))
        work = asyncio.ensure_future(self._answer(body, send))
        try:
            await asyncio.wait([left, work], return_when=asyncio.FIRST_COMPLETED)
            left.cancel()
            if not work.done():
                work.cancel()
            await work
        except asyncio.CancelledError:
            return
        finally:
            self.under_way -= 1

    async def _answer(self, body: dict[str, Any], send: Send) -> None:
        is_chat = "messages" in body
        prompt = body["messages"][-1]["content"] if is_chat else body["prompt"]
        script = Script(**json.loads(prompt))
        if script.status != 200:
            error = {"message": "It was told to refuse.", "type": "x", "code": "told_to", "param": None}
            await _json(send, script.status, {"error": error})
            return
        whole = {"prompt_tokens": len(prompt), "completion_tokens": script.tokens}
        head = {"id": "x", "object": "x", "created": int(time.time()), "model": body["model"]}
        if not body.get("stream"):
            await asyncio.sleep(script.wait * script.tokens)
            if script.die_after is not None:
                raise Died
            text = "word " * script.tokens
            said = {"message": {"role": "assistant", "content": text}} if is_chat else {"text": text}
            choice = {"index": 0, "finish_reason": "stop", **said}
            await _json(send, 200, {**head, "choices": [choice], "usage": whole})
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(1, script.tokens + 1):
            await asyncio.sleep(script.wait)
            if script.die_after == number - 1:
                raise Died
            said = {"delta": {"content": "word "}} if is_chat else {"text": "word "}
            last = "stop" if number == script.tokens else None
            chunk = {**head, "choices": [{"index": 0, "finish_reason": last, **said}]}
            if script.usage == "each":
                chunk["usage"] = {**whole, "completion_tokens": number}
            await _event(send, chunk)
        if script.usage != "never":
            await _event(send, {**head, "choices": [], "usage": whole})
        done = {"type": "http.response.body", "body": b"data: [DONE]\n\n", "more_body": False}
        await send(done)


async def _left(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _json(send: Send, status: int, value: Any) -> None:
    await send({"type": "http.response.start", "status": status, "headers": JSON_TYPE})
    await send({"type": "http.response.body", "body": json.dumps(value).encode()})


async def _event(send: Send, value: Any) -> None:
    data = f"data: {json.dumps(value)}\n\n".encode()
    await send({"type": "http.response.body", "body": data, "more_body": True})


@dataclass(frozen=True)
class RunningScript:
    url: str
    engine: Scripted


@contextmanager
def running_script() -> Iterator[RunningScript]:
    """It, listening on a free port in a thread of its own."""
    engine = Scripted()
    config = uvicorn.Config(
        engine,
        port=0,
        log_level="critical",
        lifespan="off",
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield RunningScript(f"http://127.0.0.1:{port}", engine)
    finally:
        server.should_exit = True
        thread.join(10)
