"""The engine's HTTP side: who may ask, what there is to ask, and how refusals look."""

from __future__ import annotations

import asyncio
import hmac
import time
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from workers.serving import completions
from workers.serving.completions import read_body
from workers.serving.engine import BASE_NAME, Engine
from workers.serving.errors import EngineError
from workers.serving.metrics import CONTENT_TYPE, watch_bank
from workers.serving.protocol import LoadAdapter, TokenizeRequest, UnloadAdapter, parse


def create_app(engine: Engine, token: str) -> Starlette:
    """The application: vLLM's routes over one engine, each but /health behind the bearer token."""
    app = Starlette(
        routes=[
            Route("/health", health),
            Route("/load", load),
            Route("/metrics", metrics),
            Route("/v1/models", models),
            Route("/v1/chat/completions", completions.chat, methods=["POST"]),
            Route("/v1/completions", completions.complete, methods=["POST"]),
            Route("/tokenize", tokenize, methods=["POST"]),
            Route("/v1/load_lora_adapter", load_adapter, methods=["POST"]),
            Route("/v1/unload_lora_adapter", unload_adapter, methods=["POST"]),
        ],
        middleware=[Middleware(BearerToken, token=token)],
        exception_handlers={EngineError: _refuse, HTTPException: _refuse_http, Exception: _apologise},
    )
    app.state.engine = engine
    app.state.started = int(time.time())
    watch_bank(engine.scheduler.metrics, engine.adapters)
    return app


async def health(request: Request) -> Response:
    """200 while the engine's thread works, 503 once it is broken."""
    engine: Engine = request.app.state.engine
    return Response(status_code=200 if engine.scheduler.healthy else 503)


async def load(request: Request) -> Response:
    """How many requests wait or run, as vLLM's /load tells it."""
    engine: Engine = request.app.state.engine
    return JSONResponse({"server_load": engine.scheduler.load})


async def metrics(request: Request) -> Response:
    """The engine's numbers for Prometheus, behind the token as they name adapters."""
    engine: Engine = request.app.state.engine
    text = await asyncio.to_thread(engine.scheduler.metrics.text)
    return Response(text, media_type=CONTENT_TYPE)


async def models(request: Request) -> Response:
    """The base and every loaded adapter, under the names that requests may use."""
    engine: Engine = request.app.state.engine
    cards = [_card(engine, BASE_NAME, request.app.state.started, parent=None)]
    cards += [_card(engine, name, created, parent=BASE_NAME) for name, created in engine.adapters.names()]
    return JSONResponse({"object": "list", "data": cards})


async def tokenize(request: Request) -> Response:
    """A conversation's tokens, so that a person can see what the model sees."""
    engine: Engine = request.app.state.engine
    body = parse(TokenizeRequest, await read_body(request))
    messages = [message.for_template() for message in body.messages]
    tokens = await run_in_threadpool(
        engine.encode_chat, body.model, messages, add_generation_prompt=body.add_generation_prompt
    )
    strings = engine.text.strings(tokens) if body.return_token_strs else None
    return JSONResponse(
        {"count": len(tokens), "max_model_len": engine.context, "tokens": tokens, "token_strs": strings}
    )


async def load_adapter(request: Request) -> Response:
    engine: Engine = request.app.state.engine
    body = parse(LoadAdapter, await read_body(request))
    await asyncio.to_thread(engine.load_adapter, body.lora_name, body.lora_path)
    return PlainTextResponse(f"Success: LoRA adapter '{body.lora_name}' added successfully.")


async def unload_adapter(request: Request) -> Response:
    """Answers once the adapter's last request has ended and its memory is free."""
    engine: Engine = request.app.state.engine
    body = parse(UnloadAdapter, await read_body(request))
    await run_in_threadpool(engine.adapters.unload, body.lora_name)  # may wait: not among the short jobs
    engine.scheduler.metrics.forget(body.lora_name)
    return PlainTextResponse(f"Success: LoRA adapter '{body.lora_name}' removed successfully.")


def _card(engine: Engine, name: str, created: int, parent: str | None) -> dict[str, Any]:
    return {
        "id": name,
        "object": "model",
        "created": created,
        "owned_by": "housestyle",
        "root": name,
        "parent": parent,
        "max_model_len": engine.context,
    }


async def _refuse(request: Request, error: Exception) -> Response:
    if not isinstance(error, EngineError):
        raise error
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after is not None else None
    return JSONResponse(error.body(), status_code=error.status, headers=headers)


async def _refuse_http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    kind = "not_found_error" if error.status_code == 404 else "invalid_request_error"
    refusal = EngineError(f"{error.detail}: there is no such route.", status=error.status_code, kind=kind)
    return JSONResponse(refusal.body(), status_code=error.status_code, headers=error.headers)


async def _apologise(request: Request, error: Exception) -> Response:
    refusal = EngineError("The engine failed on this request: send it again.", kind="server_error")
    return JSONResponse(refusal.body(), status_code=500)


class BearerToken:
    """Lets a request through only with the engine's token: the port serves every firm's adapter, so it is
    for the web process alone. Health checks tell nothing and are free."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] != "/health" and not self._known(scope):
            refusal = EngineError(
                "The engine's token is missing or wrong: send it as “Authorization: Bearer …”.",
                kind="authentication_error",
                code="invalid_api_key",
            )
            await JSONResponse(refusal.body(), 401, {"WWW-Authenticate": "Bearer"})(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _known(self, scope: Scope) -> bool:
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        return hmac.compare_digest(given, self._expected)  # constant time: no letter-by-letter guessing
