"""One request from being let in to its one row, whatever happens to it meanwhile."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from django.db import DatabaseError
from django.utils import timezone

from webapp.adapters.models import AdapterVersion
from webapp.core.asynchronous import in_database
from webapp.core.errors import AppError
from webapp.tenants.models import ApiKey, Membership
from webapp.usage import estimate, limits, selectors, services, texts
from webapp.usage.limits import Standing, Ticket
from webapp.usage.models import Ending, Source
from webapp.usage.services import End

log = logging.getLogger(__name__)

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

    def let_in(self) -> None:
        """In a thread, once its row is there to be seen. Raises RateLimited, LimitsAway, its row closed."""
        try:
            self.standing = limits.reserve(self.ticket)
        except AppError as error:
            self._end_with(self._end_of(error, let_in=False))
            raise

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[None]:
        """While the engine is asked and answers: whatever ends that badly ends the request."""
        self._begun = True
        _keeper().keep(self)
        try:
            yield
        except AppError as error:
            await self._close(self._end_of(error))
            raise
        except (GeneratorExit, asyncio.CancelledError):
            await self.left()
            raise
        except Exception:
            await self._close(self._end(500, Ending.FAILED, "server_error"))
            raise

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
        await self._close(self._end(200, Ending.ANSWERED))

    async def left(self) -> None:
        """The client hung up, or the request was given up. One that has every word missed nothing."""
        if self._finished >= self.answers:
            await self.answered()
        else:
            await self._close(self._end(CLIENT_LEFT, Ending.LEFT))

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

    async def _close(self, end: End) -> None:
        """Once, and to its end even when who waits for it is cancelled."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(in_database(self._end_with)(end))
        await asyncio.shield(self._closing)

    def _end_of(self, error: AppError, *, let_in: bool = True) -> End:
        status = int(error.status)
        return self._end(status, Ending.REFUSED if status < 500 else Ending.FAILED, error.code, let_in=let_in)

    def _end(self, status: int, ending: Ending, error: str = "", *, let_in: bool = True) -> End:
        tokens_in, tokens_out, unknown = self._tokens(ending, let_in)
        return End(
            status=status,
            ending=ending,
            error=error,
            tokens_in=tokens_in,
            tokens_out=tokens_out,
            unknown=unknown,
            let_in=let_in,
            ttft_ms=None if self._first_at is None else round((self._first_at - self.began) * 1000),
            duration_ms=round((time.monotonic() - self.began) * 1000),
        )

    def _end_with(self, end: End) -> None:
        """Write it down, then tell Redis; in a thread."""
        ticket = self.ticket
        kept = self.kept_text()
        if kept is None or self.text_days is None:
            services.close_row(tenant_id=ticket.tenant_id, row_id=ticket.id, end=end)
        else:
            until = timezone.now() + timedelta(days=self.text_days)
            texts.close_with(tenant_id=ticket.tenant_id, row_id=ticket.id, end=end, kept=kept, until=until)
        limits.settle(ticket, ticket.tokens if end.unknown else end.tokens_in + end.tokens_out)

    def kept_text(self) -> dict[str, Any] | None:
        """What is kept of the request; None where the firm's setting wants nothing kept."""
        if self.text_days is None or self.asked is None:
            return None
        answers = {str(index): "".join(parts) for index, parts in sorted(self._answers.items())}
        return {"asked": dict(self.asked), "answers": answers}


def open_meter(
    *,
    member: Membership,
    key: ApiKey | None,
    version: AdapterVersion | None,
    source: Source,
    asked: Mapping[str, Any],
    max_tokens: int,
    answers: int = 1,
    started_at: datetime | None = None,
    began: float | None = None,
) -> Meter:
    """The meter of a request whose row is open now; in a thread, in the caller's transaction and scope.

    `asked` is the engine's body with its messages or prompt, `max_tokens` the most of one answer.
    """
    terms = selectors.terms(member.tenant_id, key)
    moment = started_at or timezone.now()
    prompt = estimate.prompt_tokens(asked)
    at_most = prompt + answers * max_tokens
    row_id = services.open_row(
        member=member, key=key, version=version, source=source, started_at=moment, reserved=at_most
    )
    return Meter(
        Ticket(row_id, member.tenant_id, terms.counted_as, moment, at_most, terms.firm, terms.key),
        prompt,
        time.monotonic() if began is None else began,
        answers=answers,
        text_days=terms.text_days,
        asked=asked if terms.text_days else None,
    )


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
            try:
                await in_database(_renew)([meter.ticket for meter in old])
            except DatabaseError as error:
                log.warning("Requests under way could not be renewed: %s", type(error).__name__)


def _renew(tickets: list[Ticket]) -> None:
    """In a thread. What fails is tried again in its turn."""
    for ticket in tickets:
        limits.renew(ticket)
    for tenant_id in {ticket.tenant_id for ticket in tickets}:
        services.renew_rows(tenant_id, [ticket.id for ticket in tickets if ticket.tenant_id == tenant_id])


_keepers: WeakKeyDictionary[asyncio.AbstractEventLoop, Keeper] = WeakKeyDictionary()


def _keeper() -> Keeper:
    loop = asyncio.get_running_loop()
    if loop not in _keepers:
        _keepers[loop] = Keeper()
    return _keepers[loop]
