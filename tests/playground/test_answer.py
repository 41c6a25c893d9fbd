"""One column's answer, streamed from the running web process to a signed-in browser."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.test import Client

from tests.conftest import Firm
from tests.live import Web, learned, live, own_words
from tests.serving.engines import RunningEngine
from webapp.adapters import services as adapters
from webapp.core.tenancy import tenant_scope
from webapp.playground.views import MAX_PROMPT, MAX_TOKENS
from webapp.tenants.models import Membership

pytestmark = pytest.mark.xdist_group("web")

PROMPT = "Put the citations of this passage into our house style."
TOKEN = "t" * 32  # what the browser got in its cookie, and its scripts send back
URL = "/playground/answer/"


@pytest.fixture
def ask(signed_in: Callable[[Membership], Client]) -> Callable[..., Any]:
    """Send a prompt inside this process; for what is refused before anything streams."""

    def ask(member: Membership, **body: Any) -> Any:
        sent = {"column": "base", "prompt": PROMPT, **body}
        return signed_in(member).post(URL, sent, content_type="application/json")

    return ask


def stream(web: Web, client: Client, column: str, **body: Any) -> list[dict[str, Any]]:
    """The events of an answer, as a browser with this session reads them."""
    cookies = {"sessionid": client.cookies["sessionid"].value, "csrftoken": TOKEN}
    sent = {"column": column, "prompt": PROMPT, "max_tokens": 12, "temperature": 0, **body}
    answer = httpx.post(web.url + URL, json=sent, cookies=cookies, headers={"X-CSRFToken": TOKEN}, timeout=60)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    return [json.loads(event.removeprefix("data: ")) for event in answer.text.split("\n\n") if event]


@pytest.mark.django_db(transaction=True)
def test_base_and_versions_answer_each_in_their_own_words(
    web: Web, signed_in: Callable[[Membership], Client], firm: Firm, styles: list[Path]
) -> None:
    one = live(firm, styles[0], by=firm.alice, approver=firm.bob)
    waiting = learned(firm, styles[1], by=firm.alice)
    client = signed_in(firm.alice)
    base = web.engine.chat("base", PROMPT, max_tokens=12).json()["choices"][0]["message"]["content"]
    expected = {
        "base": base,
        str(one.id): own_words(web.engine, styles[0], PROMPT),
        str(waiting.id): own_words(web.engine, styles[1], PROMPT),
    }
    assert len(set(expected.values())) == 3
    for column, words in expected.items():
        *texts, done = stream(web, client, column)
        assert "".join(event["text"] for event in texts) == words
        assert done["done"] is True
        assert 0 < done["tokens"] <= 12
        assert done["seconds"] >= 0


@pytest.mark.django_db(transaction=True)
def test_a_form_without_the_csrf_token_is_refused(web: Web, firm: Firm) -> None:
    client = Client()
    client.force_login(firm.alice.user, backend="django.contrib.auth.backends.ModelBackend")
    cookies = {"sessionid": client.cookies["sessionid"].value}
    assert httpx.post(web.url + URL, json={"column": "base"}, cookies=cookies).status_code == 403


def test_nobody_gets_an_answer(client: Client, db: None) -> None:
    answer = client.post(URL, {"column": "base", "prompt": "Hello"}, content_type="application/json")
    assert answer.status_code == 401
    assert "sign in" in answer.json()["error"]["message"]


def test_an_auditor_does_not_compare(ask: Callable[..., Any], firm: Firm) -> None:
    assert ask(firm.erin).status_code == 403


def test_another_firms_version_is_not_found(
    ask: Callable[..., Any], firm: Firm, other_firm: Firm, styles: list[Path]
) -> None:
    theirs = live(other_firm, styles[0], by=other_firm.carol, approver=other_firm.dave)
    for column in (str(theirs.id), theirs.engine_name, str(theirs), str(uuid.uuid4()), ""):
        answer = ask(firm.alice, column=column)
        assert answer.status_code == 404
        assert answer.json()["error"]["message"]


def test_a_rejected_version_is_not_found(ask: Callable[..., Any], firm: Firm, styles: list[Path]) -> None:
    version = learned(firm, styles[0], by=firm.alice)
    with tenant_scope(firm.tenant.id):
        adapters.decide(member=firm.bob, version=version, decision="rejected")
    assert ask(firm.alice, column=str(version.id)).status_code == 404


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"prompt": "  "}, "Write a prompt first."),
        ({"prompt": "x" * (MAX_PROMPT + 1)}, "Keep the prompt under 40,000 characters."),
        ({"max_tokens": MAX_TOKENS + 1}, f"Ask for between 1 and {MAX_TOKENS} tokens."),
        ({"temperature": 3}, "The temperature goes from 0 to 2."),
        ({"max_tokens": "many"}, "This request could not be read; load the page again."),
    ],
    ids=["empty", "long", "tokens", "temperature", "unreadable"],
)
def test_what_cannot_be_asked_gets_one_sentence(
    ask: Callable[..., Any], firm: Firm, body: dict[str, Any], says: str
) -> None:
    answer = ask(firm.alice, **body)
    assert answer.status_code == 400
    assert answer.json() == {"error": {"message": says}}


def test_a_prompt_longer_than_the_context_gets_the_engines_sentence(
    ask: Callable[..., Any], with_engine: RunningEngine, firm: Firm
) -> None:
    answer = ask(firm.alice, prompt="word " * 5000)
    assert answer.status_code == 400
    assert "2048" in answer.json()["error"]["message"]


def test_an_engine_that_is_away_gets_one_sentence(ask: Callable[..., Any], settings: Any, firm: Firm) -> None:
    settings.ENGINE_URL = "http://127.0.0.1:1"
    answer = ask(firm.alice)
    assert answer.status_code == 503
    assert "engine" in answer.json()["error"]["message"]
