"""One request from being let in to its one row, whatever happens to it meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from django.utils import timezone

from webapp.core.asynchronous import in_database
from webapp.core.errors import AppError
from webapp.usage import limits, services, texts
from webapp.usage.limits import Standing, Ticket
from webapp.usage.models import Ending
from webapp.usage.services import End

CLIENT_LEFT = 499  # nginx's number for it: HTTP has none
KEEP_SECONDS = 20.0
# Where the engine says how far it is with every chunk, an answer that broke off is counted to the token.
STREAM_OPTIONS = {"include_usage": True, "continuous_usage_stats": True}


@dataclass(eq=False)
class Meter:
    """Counts one request's answer. `prompt_tokens` is what the prompt is reckoned at until the engine says
    it; `text_days` for how long its text is kept, None where the firm wants nothing kept."""

    ticket: Ticket
    prompt_tokens: int
    began: float = field(default_factory=time.monotonic)
    answers: int = 1
    text_days: int | None = None
    asked: Mapping[str, Any] | None = None
    standing: Standing = field(default_factory=lambda: Standing({}))
    _tokens_in: int | None = None
    _tokens_out: int = 0
    _is_exact: bool = False  # the engine itself said how many there were so far
    _begun: bool = False
    _finished: int = 0  # answers that have come to their end
    _first_at: float | None = None
    _answers: dict[int, list[str]] = field(default_factory=dict)
    _closing: asyncio.Task[None] | None = None

    async def let_in(self) -> None:
        """Raises RateLimited, LimitsAway; the request's row is closed then."""
        try:
            self.standing = await limits.reserve(self.ticket)
        except AppError as error:
            await self.end(error=error, let_in=False)
            raise
        except asyncio.CancelledError:
            await self.left()
            raise
        _keeper().keep(self)

    def begin(self) -> None:
        """The engine is being asked: from now on a client that leaves has used tokens."""
        self._begun = True

    def chunk(self, chunk: Mapping[str, Any]) -> None:
        """A part of a stream."""
        texts_here = [(choice.get("index", 0), _text(choice)) for choice in chunk.get("choices", ())]
        if usage := chunk.get("usage"):
            self._count(usage)
        elif any(text for _, text in texts_here):
            # A chunk without a count holds at least one token of each choice.
            self._tokens_out += sum(bool(text) for _, text in texts_here)
        self._finished += sum(bool(choice.get("finish_reason")) for choice in chunk.get("choices", ()))
        if self._first_at is None and any(text for _, text in texts_here):
            self._first_at = time.monotonic()
        if self.text_days is not None:
            for index, text in texts_here:
                self._answers.setdefault(index, []).append(text)

    def whole(self, answer: Mapping[str, Any]) -> None:
        """An answer that came in one piece."""
        self._count(answer.get("usage") or {})
        if self.text_days is not None:
            for choice in answer.get("choices", ()):
                self._answers[choice.get("index", 0)] = [_text(choice)]

    async def answered(self) -> None:
        await self._close(200, Ending.ANSWERED)

    async def left(self) -> None:
        """The client hung up, or the request was given up. One that has every word missed nothing."""
        if self._finished >= self.answers:
            await self.answered()
        else:
            await self._close(CLIENT_LEFT, Ending.LEFT)

    async def end(self, *, error: AppError, let_in: bool = True) -> None:
        """It ended with an error."""
        status = int(error.status)
        ending = Ending.REFUSED if status < 500 else Ending.FAILED
        await self._close(status, ending, error.code, let_in=let_in)

    async def broke(self) -> None:
        """It ended with a fault of ours."""
        await self._close(500, Ending.FAILED, "server_error")

    @property
    def is_open(self) -> bool:
        return self._closing is None

    def _count(self, usage: Mapping[str, Any]) -> None:
        self._tokens_in = int(usage.get("prompt_tokens") or 0)
        self._tokens_out = int(usage.get("completion_tokens") or 0)
        self._is_exact = True

    def _tokens(self, ending: Ending, let_in: bool) -> tuple[int, int, bool]:
        """Tokens in, out, and whether there may have been more that nobody told."""
        if self._is_exact:
            return self._tokens_in or 0, self._tokens_out, False
        if not let_in or not self._begun or ending is Ending.REFUSED:
            return 0, 0, False
        if self._tokens_out:
            return self.prompt_tokens, self._tokens_out, False
        return 0, 0, ending is Ending.LEFT

    async def _close(self, status: int, ending: Ending, error: str = "", *, let_in: bool = True) -> None:
        """Once, and to its end even when who waits for it is cancelled."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._record(status, ending, error, let_in))
        await asyncio.shield(self._closing)

    async def _record(self, status: int, ending: Ending, error: str, let_in: bool) -> None:
        tokens_in, tokens_out, unknown = self._tokens(ending, let_in)
        ended = time.monotonic()
        end = End(
            status=status,
            ending=ending,
            error=error,
            tokens_in=tokens_in,
            tokens_out=tokens_out,
            unknown=unknown,
            let_in=let_in,
            ttft_ms=None if self._first_at is None else round((self._first_at - self.began) * 1000),
            duration_ms=round((ended - self.began) * 1000),
        )
        await in_database(_close_with_text)(self, end)
        used = self.ticket.tokens if unknown else tokens_in + tokens_out
        await limits.settle(self.ticket, used)

    def kept_text(self) -> dict[str, Any] | None:
        """What is kept of the request; None where the firm's setting wants nothing kept."""
        if self.text_days is None or self.asked is None:
            return None
        answers = {str(index): "".join(parts) for index, parts in sorted(self._answers.items())}
        return {"asked": dict(self.asked), "answers": answers}


def _close_with_text(meter: Meter, end: End) -> None:
    ticket = meter.ticket
    kept = meter.kept_text()
    if kept is None or meter.text_days is None:
        services.close_row(tenant_id=ticket.tenant_id, row_id=ticket.id, end=end)
    else:
        until = timezone.now() + timedelta(days=meter.text_days)
        texts.close_with(tenant_id=ticket.tenant_id, row_id=ticket.id, end=end, kept=kept, until=until)


def _text(choice: Mapping[str, Any]) -> str:
    """Of a chat's or a completion's choice, whole or in part."""
    said = choice.get("delta") or choice.get("message") or {}
    return said.get("content") or choice.get("text") or ""


class Keeper:
    """Tells Redis and the database, now and then, that this process's requests are still under way.

    Those it holds are weakly held: one that was lost without an end is closed as a dead process's would be.
    """

    def __init__(self) -> None:
        self._meters: WeakSet[Meter] = WeakSet()
        self._task: asyncio.Task[None] | None = None

    def keep(self, meter: Meter) -> None:
        self._meters.add(meter)
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(KEEP_SECONDS)
            under_way = [meter for meter in self._meters if meter.is_open]
            if not under_way:
                return
            now = time.monotonic()
            old = [meter for meter in under_way if now - meter.began >= KEEP_SECONDS / 2]
            await _renew([meter.ticket for meter in old])


async def _renew(tickets: list[Ticket]) -> None:
    jobs: list[Coroutine[Any, Any, None]] = [limits.renew(ticket) for ticket in tickets]
    for tenant_id in {ticket.tenant_id for ticket in tickets}:
        ids = [ticket.id for ticket in tickets if ticket.tenant_id == tenant_id]
        jobs.append(in_database(services.renew_rows)(tenant_id, ids))
    await asyncio.gather(*jobs, return_exceptions=True)  # one that fails is tried again in its turn


_keepers: WeakKeyDictionary[asyncio.AbstractEventLoop, Keeper] = WeakKeyDictionary()


def _keeper() -> Keeper:
    loop = asyncio.get_running_loop()
    if loop not in _keepers:
        _keepers[loop] = Keeper()
    return _keepers[loop]
