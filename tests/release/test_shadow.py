"""Copies of requests for a version on trial: the client notices nothing, and numbers are all that stays."""

from __future__ import annotations

import asyncio
import time
import uuid
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.conftest import Firm
from tests.live import WEIGHTS, Web, learned, live, own_words
from webapp.adapters import selectors as adapters
from webapp.adapters.models import AdapterVersion
from webapp.core.errors import Unavailable
from webapp.core.tenancy import firm_scope, tenant_scope
from webapp.serving import rollouts, shadow
from webapp.serving.engine import Event, Route
from webapp.serving.models import ShadowResult
from webapp.usage.models import UsageRow

PROMPT = "Put the citations of this passage into our house style."
SECONDS = 60


def ask(web: Web, key: str, *, stream: bool = False, **more: Any) -> str:
    """The live version's words; `briefs@1` is who must have said them."""
    client = openai.OpenAI(base_url=web.openai_url, api_key=key, max_retries=0)
    answer: Any = client.chat.completions.create(
        model="",
        messages=[{"role": "user", "content": PROMPT}],
        max_tokens=12,
        stream=stream,
        **{"temperature": 0, **more},
    )
    if not stream:
        assert answer.model == "briefs@1"
        return str(answer.choices[0].message.content)
    chunks = list(answer)
    assert {chunk.model for chunk in chunks} == {"briefs@1"}
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def results(firm: Firm, count: int) -> list[ShadowResult]:
    """The first `count` results, oldest first, once they are there."""
    deadline = time.monotonic() + SECONDS
    while True:
        with firm_scope(firm.tenant.id):
            found = list(ShadowResult.objects.order_by("at"))
        if len(found) >= count:
            return found
        assert time.monotonic() < deadline, f"{len(found)} copies were answered"
        time.sleep(0.05)


def on_trial(firm: Firm, version: AdapterVersion) -> None:
    with tenant_scope(firm.tenant.id):
        rollouts.send_share(member=firm.bob, version=version, share=100, shadow=True)


@pytest.mark.django_db(transaction=True)
@pytest.mark.xdist_group("web")
def test_copies_are_compared_and_the_client_reads_the_live_version_alone(
    web: Web, firm: Firm, styles: list[Path]
) -> None:
    live(firm, styles[0], by=firm.alice, approver=firm.bob)
    other = learned(firm, styles[1], by=firm.alice, approver=firm.bob)
    twin = learned(firm, styles[0], by=firm.alice, approver=firm.bob)
    broken = learned(firm, styles[1], by=firm.alice, approver=firm.bob)
    (adapters.folder(broken) / WEIGHTS).write_bytes(b"no weights")
    key = firm.key(firm.alice)
    words = [own_words(web.engine, style, PROMPT) for style in styles]
    said = [len(text) for text in words]

    on_trial(firm, other)
    assert ask(web, key) == words[0]
    assert ask(web, key, stream=True) == words[0]
    found = results(firm, 2)
    told = {(row.live_characters, row.characters, row.same, row.error) for row in found}
    assert told == {(said[0], said[1], False, "")}
    assert all(row.completion_tokens == 12 and row.prompt_tokens for row in found)

    on_trial(firm, twin)
    assert ask(web, key, stream=True) == words[0]
    assert results(firm, 3)[-1].same is True
    ask(web, key, temperature=1)
    assert results(firm, 4)[-1].same is None, "two draws say nothing"

    on_trial(firm, broken)
    assert ask(web, key) == words[0]
    last = results(firm, 5)[-1]
    assert (last.error, last.characters, last.same) == ("unavailable", None, None)

    with firm_scope(firm.tenant.id):
        assert UsageRow.objects.count() == 5, "nobody is charged for copies"
        assert {row.version.number for row in UsageRow.objects.select_related("version")} == {1}


class SlowEngine:
    """An engine that answers once it is let go, and counts who asks it."""

    def __init__(self) -> None:
        self.asked = 0
        self.go = asyncio.Event()

    async def complete(self, route: Route, body: Any, **_: Any) -> Event:
        self.asked += 1
        await self.go.wait()
        if self.asked > shadow.AT_ONCE:
            raise Unavailable("The engine is away.")
        return {"choices": [{"index": 0, "message": {"content": "later"}}]}


def test_copies_that_come_while_many_run_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[dict[str, Any]] = []
    monkeypatch.setattr(shadow, "_record", lambda tenant_id, version_id, found: kept.append(found))

    async def scene() -> SlowEngine:
        slow = SlowEngine()
        monkeypatch.setattr(shadow, "engine", lambda: slow)
        for _ in range(3 * shadow.AT_ONCE):
            copy = shadow.start(Route.CHAT, {"temperature": 0}, AdapterVersion(), uuid.uuid4())
            copy.heard({"choices": [{"index": 0, "delta": {"content": "la"}}]})
            copy.heard({"choices": [{"index": 0, "delta": {"content": "ter"}}]})
            copy.ended()  # returns at once, though none is answered
        running = set(shadow._running[asyncio.get_running_loop()])
        slow.go.set()
        await asyncio.gather(*running)
        return slow

    assert asyncio.run(scene()).asked == shadow.AT_ONCE
    assert [(row["same"], row["characters"]) for row in kept] == [(True, 5)] * shadow.AT_ONCE


def test_an_answer_that_does_not_end_whole_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> int:
        slow = SlowEngine()
        monkeypatch.setattr(shadow, "engine", lambda: slow)
        shadow.start(Route.CHAT, {}, AdapterVersion(), uuid.uuid4()).heard({"choices": []})
        nothing = shadow.start(Route.CHAT, {}, None, uuid.uuid4())
        nothing.heard({"choices": []})
        nothing.ended()
        await asyncio.sleep(0)
        return slow.asked

    assert asyncio.run(scene()) == 0
