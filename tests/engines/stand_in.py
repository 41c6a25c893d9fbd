"""An engine that answers with its own name for whoever is asked, and fails as it is told to: what real ones
do too rarely to be waited for. It counts how many adapters it held at most."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route


@dataclass
class StandIn:
    name: str
    adapters: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    most: int = 0
    loads: int = 0
    load_seconds: float = 0.0
    failure: Response | str | None = None
    url: str = ""
    hold: threading.Event = field(default_factory=threading.Event)

    def forget(self) -> None:
        """As after a restart."""
        self.adapters.clear()

    def reset(self) -> StandIn:
        """As it was at first, for the next test."""
        self.hold.set()
        vars(self).update(vars(StandIn(self.name, url=self.url)))
        return self

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/health", self._health),
                Route("/load", self._load_now),
                Route("/v1/models", self._models),
                Route("/v1/load_lora_adapter", self._load, methods=["POST"]),
                Route("/v1/unload_lora_adapter", self._unload, methods=["POST"]),
                Route("/v1/chat/completions", self._chat, methods=["POST"]),
            ]
        )

    async def _health(self, request: Request) -> Response:
        return Response()

    async def _load_now(self, request: Request) -> Response:
        return JSONResponse({"server_load": 0})

    async def _models(self, request: Request) -> Response:
        return JSONResponse({"data": [{"id": name} for name in ("base", *self.adapters)]})

    async def _load(self, request: Request) -> Response:
        body = await request.json()
        self.loads += 1
        if body["lora_name"] in self.adapters:
            return _refusal(400, "has already been loaded")
        await asyncio.sleep(self.load_seconds)
        self.adapters[body["lora_name"]] = body["lora_path"]
        self.most = max(self.most, len(self.adapters))
        return Response("Success")

    async def _unload(self, request: Request) -> Response:
        name = (await request.json())["lora_name"]
        return Response("Success") if self.adapters.pop(name, None) else _refusal(404, "cannot be found")

    async def _chat(self, request: Request) -> Response:
        body = await request.json()
        self.asked.append(body["model"])
        self.bodies.append(body)
        if isinstance(self.failure, Response):
            return self.failure
        if body["model"] != "base" and body["model"] not in self.adapters:
            return _refusal(404, "does not exist")
        if body["stream"]:
            return StreamingResponse(self._stream(body["model"]), media_type="text/event-stream")
        if self.failure == "drop":
            raise ConnectionAbortedError
        model = "another" if self.failure == "another" else body["model"]
        return JSONResponse({"model": model, "choices": [{"index": 0, "message": {"content": self.name}}]})

    async def _stream(self, model: str) -> AsyncIterator[str]:
        if self.failure == "drop":
            raise ConnectionAbortedError
        for number in range(3):
            if number == 1 and self.failure == "break":
                raise ConnectionAbortedError
            if number == 1 and self.failure == "hold":
                await asyncio.to_thread(self.hold.wait)
            chunk = {"model": model, "choices": [{"index": 0, "delta": {"content": self.name}}]}
            yield f"data: {json.dumps(chunk)}\n\n"
        yield "data: [DONE]\n\n"


def _refusal(status: int, message: str, **headers: str) -> Response:
    return JSONResponse(
        {"error": {"message": message, "type": "x", "param": None, "code": status}}, status, headers
    )


@contextmanager
def standing_in(name: str) -> Iterator[StandIn]:
    engine = StandIn(name)
    server = uvicorn.Server(uvicorn.Config(engine.app(), port=0, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    engine.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield engine
    finally:
        engine.hold.set()
        server.should_exit = server.force_exit = True
        thread.join(timeout=10)
