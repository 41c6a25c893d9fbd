"""Side-by-side comparison: the page, and one streaming answer per column."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.shortcuts import render

from webapp.adapters.models import AdapterVersion
from webapp.core.asynchronous import in_database
from webapp.core.errors import AppError, Invalid
from webapp.core.tenancy import tenant_scope
from webapp.playground import selectors
from webapp.serving.engine import Event, Route, engine
from webapp.tenants.gates import MemberRequest, gate, signed_in_member
from webapp.tenants.models import Membership
from webapp.tenants.permissions import Action, require
from webapp.usage import metering
from webapp.usage.metering import STREAM_OPTIONS, Meter
from webapp.usage.models import Source

MAX_TOKENS = 512
MAX_PROMPT = 40_000  # characters; the engine counts tokens and knows the real limit


class SignedOut(AppError):
    code = "signed_out"
    status = HTTPStatus.UNAUTHORIZED


@dataclass(frozen=True)
class Question:
    column: str
    prompt: str
    max_tokens: int
    temperature: float


@gate(Action.COMPARE)
def page(request: MemberRequest) -> HttpResponse:
    tenant_id = request.member.tenant_id
    context = {
        "columns": [asdict(column) for column in selectors.columns(tenant_id)],
        "prompts": selectors.prompts(tenant_id),
        "max_tokens": MAX_TOKENS,
    }
    return render(request, "playground/page.html", context)


async def answer(request: HttpRequest) -> HttpResponseBase:
    """One column's answer as server-sent events: `{"text"}` pieces, then `{"done", "tokens", "seconds"}`.

    What goes wrong before the first piece is a status with `{"error": {"message"}}`, afterwards an event
    `{"error"}`. Session and CSRF token guard it as they guard any form.
    """
    if request.method != "POST":
        return JsonResponse({"error": {"message": "Send a prompt with POST."}}, status=405)
    try:
        question, version, meter = await in_database(_resolve)(request)
        body = {
            "messages": [{"role": "user", "content": question.prompt}],
            "max_tokens": question.max_tokens,
            "temperature": question.temperature,
            "stream_options": STREAM_OPTIONS,
        }
        began = time.monotonic()
        async with meter.asking():
            chunks = await engine().stream(
                Route.CHAT, body, version=version, tenant_id=meter.ticket.tenant_id
            )
    except AppError as error:
        return JsonResponse({"error": {"message": error.message}}, status=error.status)
    streaming = StreamingHttpResponse(_events(chunks, began, meter), content_type="text/event-stream")
    streaming["Cache-Control"] = "no-store"
    streaming["X-Accel-Buffering"] = "no"
    return streaming


answer.action = Action.COMPARE  # type: ignore[attr-defined]  # read by the test that visits every URL


def _resolve(request: HttpRequest) -> tuple[Question, AdapterVersion | None, Meter]:
    """What is asked, which version answers, and what counts it for the firm.

    Raises SignedOut, NotAllowed, Invalid, NotFound, RateLimited, LimitsAway.
    """
    member: Membership | None = signed_in_member(request)
    if member is None:
        raise SignedOut("You are signed out; sign in again and send the prompt once more.")
    require(member, Action.COMPARE)
    question = _parse(request)
    asked = {"messages": [{"role": "user", "content": question.prompt}]}
    with tenant_scope(member.tenant_id, viewer=member.id):
        version = selectors.version(member.tenant_id, question.column)
        meter = metering.open_meter(
            member=member,
            key=None,
            version=version,
            source=Source.PLAYGROUND,
            asked=asked,
            max_tokens=question.max_tokens,
        )
    meter.let_in()
    return question, version, meter


def _parse(request: HttpRequest) -> Question:
    """The question in the request's body. Raises Invalid with one sentence."""
    try:
        sent = json.loads(request.body)
        question = Question(
            column=str(sent["column"]),
            prompt=str(sent["prompt"]).strip(),
            max_tokens=int(sent.get("max_tokens", MAX_TOKENS)),
            temperature=float(sent.get("temperature", 0)),
        )
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        raise Invalid("This request could not be read; load the page again.") from None
    except RequestDataTooBig:
        raise Invalid(f"Keep the prompt under {MAX_PROMPT:,} characters.") from None
    if not question.prompt:
        raise Invalid("Write a prompt first.")
    if len(question.prompt) > MAX_PROMPT:
        raise Invalid(f"Keep the prompt under {MAX_PROMPT:,} characters.")
    if not 1 <= question.max_tokens <= MAX_TOKENS:
        raise Invalid(f"Ask for between 1 and {MAX_TOKENS} tokens.")
    if not 0 <= question.temperature <= 2:
        raise Invalid("The temperature goes from 0 to 2.")
    return question


async def _events(
    chunks: AsyncGenerator[Event, None], began: float, meter: Meter
) -> AsyncGenerator[str, None]:
    tokens = 0
    try:
        async with meter.asking(), aclosing(chunks):
            async for chunk in chunks:
                meter.chunk(chunk)
                if usage := chunk.get("usage"):
                    tokens = usage["completion_tokens"]
                for choice in chunk["choices"]:
                    if text := choice["delta"].get("content"):
                        yield _event({"text": text})
    except AppError as error:
        yield _event({"error": error.message})
        return
    await meter.answered()
    yield _event({"done": True, "tokens": tokens, "seconds": round(time.monotonic() - began, 2)})


def _event(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value)}\n\n"
