"""Copies of requests for the version on trial: what it would have answered is compared and forgotten.

A copy begins once the live answer has ended, so it takes nothing from that. It counts against no key's limits
and leaves no usage: nobody asked for it. Of a text only its length is kept; its digest stays in memory until
the two answers have been compared.

The way a view uses it:

    copy = shadow.start(route, body, resolved.shadow, tenant_id)  # shadow None: a copy that does nothing
    ... for every chunk, or for the whole answer: copy.heard(event)
    ... once the answer has ended whole: copy.ended()             # never after an error or a hang-up
"""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import logging
import time
import uuid
from collections import defaultdict
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from django.db import connection

from webapp.adapters.models import AdapterVersion
from webapp.core.errors import AppError
from webapp.core.tenancy import firm_scope
from webapp.core.traces import frames_only
from webapp.serving.engine import Event, Route, engine
from webapp.serving.models import Rollout, ShadowResult

log = logging.getLogger(__name__)

# Copies that one process runs at once; those that come while all run are dropped.
AT_ONCE = 4

_running: WeakKeyDictionary[asyncio.AbstractEventLoop, set[asyncio.Task[None]]] = WeakKeyDictionary()


class Copy:
    """One request's copy: hears the live answer, and asks the version on trial once that has ended."""

    def __init__(
        self, route: Route, body: Mapping[str, Any], version: AdapterVersion | None, tenant_id: uuid.UUID
    ) -> None:
        self._asked = None if version is None else (route, dict(body), version, tenant_id)
        self._live = _Words()
        self._began = time.monotonic()

    def heard(self, event: Event) -> None:
        """A chunk of the live version's answer, or the whole of it."""
        if self._asked is not None:
            self._live.add(event)

    def ended(self) -> None:
        """The live answer ended whole: its copy is run now, or dropped while too many are. Never raises."""
        if self._asked is None:
            return
        running = _running.setdefault(asyncio.get_running_loop(), set())
        if len(running) >= AT_ONCE:
            return
        route, body, version, tenant_id = self._asked
        self._asked = None
        work = _compare(route, body, version, tenant_id, self._live, _since(self._began))
        # A context of its own: the request's, with its thread for the database, ends before the copy does.
        task = asyncio.get_running_loop().create_task(work, context=contextvars.Context())
        running.add(task)
        task.add_done_callback(running.discard)


def start(
    route: Route, body: Mapping[str, Any], version: AdapterVersion | None, tenant_id: uuid.UUID
) -> Copy:
    """The copy of a request for `version`; nothing is asked before its `ended`. With None it does nothing."""
    return Copy(route, body, version, tenant_id)


class _Words:
    """The texts of an answer, as one digest and a length."""

    def __init__(self) -> None:
        self.characters = 0
        self._digests: dict[int, Any] = defaultdict(hashlib.sha256)

    def add(self, event: Event) -> None:
        for choice in event.get("choices") or []:
            message = choice.get("delta") or choice.get("message") or choice
            text = message.get("content") or message.get("text") or ""
            self.characters += len(text)
            self._digests[choice.get("index", 0)].update(text.encode("utf-8", "surrogatepass"))

    def digests(self) -> dict[int, str]:
        return {index: digest.hexdigest() for index, digest in self._digests.items()}


async def _compare(
    route: Route,
    body: dict[str, Any],
    version: AdapterVersion,
    tenant_id: uuid.UUID,
    live: _Words,
    live_milliseconds: int,
) -> None:
    began = time.monotonic()
    found: dict[str, Any]
    try:
        answer = await engine().complete(route, body, version=version, tenant_id=tenant_id)
        words = _Words()
        words.add(answer)
        usage = answer.get("usage") or {}
        found = {
            "characters": words.characters,
            "prompt_tokens": usage.get("prompt_tokens"),
            "completion_tokens": usage.get("completion_tokens"),
            # Two draws differ anyhow: only the likeliest words can be compared.
            "same": words.digests() == live.digests() if body.get("temperature") == 0 else None,
        }
    except AppError as error:
        found = {"error": error.code[:60]}
    except Exception as error:
        log.error("A copy of a request failed:\n%s", frames_only(error))
        found = {"error": "fault"}
    found |= {
        "milliseconds": _since(began),
        "live_milliseconds": live_milliseconds,
        "live_characters": live.characters,
    }
    try:
        await asyncio.to_thread(_record, tenant_id, version.id, found)
    except Exception as error:
        log.error("What a copy of a request came to was not recorded:\n%s", frames_only(error))


def _record(tenant_id: uuid.UUID, version_id: uuid.UUID, found: dict[str, Any]) -> None:
    """Into the version's latest trial: it may have ended meanwhile."""
    try:
        with firm_scope(tenant_id):
            rollout = Rollout.objects.of(tenant_id).filter(version_id=version_id).first()
            if rollout is not None:
                ShadowResult.objects.create(tenant_id=tenant_id, rollout=rollout, **found)
    finally:
        connection.close()


def _since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)
