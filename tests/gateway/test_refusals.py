"""What the completion API refuses, and that it always says so in OpenAI's shape."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.conftest import Firm
from tests.live import WEIGHTS, learned, live
from tests.serving.engines import RunningEngine
from webapp.core import storage
from webapp.core.tenancy import tenant_scope
from webapp.serving import services as serving
from webapp.tenants import services as tenants
from webapp.tenants.models import ApiKey, Membership, Role

pytestmark = [pytest.mark.django_db, pytest.mark.xdist_group("web")]

HELLO = [{"role": "user", "content": "Hello"}]
Ask = Callable[..., Any]  # the test client answers with a class of its own making


@pytest.fixture
def ask(client: Client) -> Ask:
    def ask(key: str | None, body: Any = None, *, path: str = "chat/completions") -> Any:
        headers = {"Authorization": f"Bearer {key}"} if key is not None else {}
        content = body if isinstance(body, bytes | str) else json.dumps({"messages": HELLO, **(body or {})})
        return client.post(f"/v1/{path}", content, content_type="application/json", headers=headers)

    return ask


def refusal(answer: Any, status: int, code: str) -> str:
    """The sentence of a refusal, once its shape is checked."""
    assert answer.status_code == status, answer.content
    error = json.loads(answer.content)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == code
    message: str = error["message"]
    assert message.endswith((".", "…”."))
    return message


@pytest.mark.parametrize("key", [None, "", "hs_wrong", "hs_\x00", "é" * 40], ids=repr)
def test_it_refuses_a_key_that_it_does_not_know(ask: Ask, key: str | None) -> None:
    answer = ask(key)
    refusal(answer, 401, "invalid_api_key")
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_it_refuses_a_revoked_key(ask: Ask, firm: Firm) -> None:
    secret = firm.key(firm.alice)
    with tenant_scope(firm.tenant.id):
        tenants.revoke_api_key(member=firm.alice, key=ApiKey.objects.get())
    refusal(ask(secret), 401, "invalid_api_key")


def test_an_expired_key_is_told_what_an_unknown_one_is(ask: Ask, firm: Firm) -> None:
    secret = firm.key(firm.alice)
    with tenant_scope(firm.tenant.id):
        ApiKey.objects.update(expires_at=timezone.now())
    answers = [ask(key) for key in (secret, "hs_wrong")]
    assert "expired" in refusal(answers[0], 401, "invalid_api_key")
    assert answers[0].content == answers[1].content


def test_it_refuses_a_key_that_was_made_for_something_else(ask: Ask, client: Client, firm: Firm) -> None:
    secret = firm.key(firm.alice, scopes=["read", "write"])
    headers = {"Authorization": f"Bearer {secret}"}
    for answer in (ask(secret), client.get("/v1/models", headers=headers), ask(secret, path="nowhere")):
        assert "“completions”" in refusal(answer, 403, "insufficient_scope")
        assert json.loads(answer.content)["error"]["type"] == "permission_error"


def test_it_refuses_the_key_of_a_person_who_left(ask: Ask, firm: Firm) -> None:
    secret = firm.key(firm.alice)
    firm.alice.user.is_active = False
    firm.alice.user.save()
    refusal(ask(secret), 401, "invalid_api_key")


def test_it_refuses_a_session_without_a_key(signed_in: Callable[[Membership], Client], firm: Firm) -> None:
    answer = signed_in(firm.alice).post("/v1/chat/completions", {}, content_type="application/json")
    assert answer.status_code == 401


def test_a_key_does_no_more_than_its_members_role(ask: Ask, firm: Firm) -> None:
    secret = firm.key(firm.alice)
    with tenant_scope(firm.tenant.id):
        firm.alice.role = Role.AUDITOR
        firm.alice.save()
    refusal(ask(secret), 403, "not_allowed")


def test_using_a_key_is_noted(ask: Ask, firm: Firm) -> None:
    ask(firm.key(firm.alice))
    with tenant_scope(firm.tenant.id):
        assert ApiKey.objects.get().last_used_at is not None


def test_it_says_that_nothing_is_live(ask: Ask, firm: Firm) -> None:
    assert "no live adapter" in refusal(ask(firm.key(firm.alice)), 404, "no_live_adapter")


def test_it_says_so_again_once_the_adapter_was_taken_off(ask: Ask, firm: Firm, styles: list[Path]) -> None:
    live(firm, styles[0], by=firm.alice, approver=firm.bob)
    with tenant_scope(firm.tenant.id):
        serving.take_off(member=firm.bob)
    refusal(ask(firm.key(firm.alice), {"model": None}), 404, "no_live_adapter")


def test_only_approved_versions_of_the_own_firm_can_be_named(
    ask: Ask, firm: Firm, other_firm: Firm, styles: list[Path]
) -> None:
    live(firm, styles[0], by=firm.alice, approver=firm.bob)
    live(other_firm, styles[1], by=other_firm.carol, approver=other_firm.dave, name="letters")
    learned(firm, styles[1], by=firm.alice)  # briefs@2 waits for its approval
    key = firm.key(firm.alice)
    names = ["base", "letters", "letters@1", "briefs@2", "briefs@9", "nothing", "briefs@", "@1", "a\x00b"]
    for name in [*names, "../x", "briefs@1 ", "B" * 5000]:
        refusal(ask(key, {"model": name}), 404, "model_not_found")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", "invalid_json"),
        ("{", "invalid_json"),
        ("[]", "invalid_json"),
        (b"\xff\xfe", "invalid_json"),
        ("[" * 100_000, "invalid_json"),
        ({"messages": []}, "invalid"),
        ({"messages": "Hello"}, "invalid"),
        ({"messages": [7]}, "invalid"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "invalid"),
        ({"messages": [{"role": "user"}]}, "invalid"),
        ({"model": 7}, "invalid"),
        ({"stream": "yes"}, "invalid"),
        ({"n": 9}, "invalid"),
        ({"tools": [{}]}, "unknown_parameter"),
        ({"guided_regex": "(a+)+$"}, "unknown_parameter"),
    ],
    ids=str,
)
def test_it_refuses_what_it_cannot_read_in_one_sentence(ask: Ask, firm: Firm, body: Any, code: str) -> None:
    refusal(ask(firm.key(firm.alice), body), 400, code)


def test_it_reads_no_media(ask: Ask, firm: Firm) -> None:
    """An engine would fetch the address, from inside the network."""
    image = {"type": "image_url", "image_url": {"url": "http://169.254.169.254/latest/meta-data"}}
    body = {"messages": [{"role": "user", "content": [{"type": "text", "text": "See:"}, image]}]}
    assert "messages[0].content" in refusal(ask(firm.key(firm.alice), body), 400, "invalid")


def test_other_methods_and_paths_are_refused_in_the_same_shape(client: Client, firm: Firm, ask: Ask) -> None:
    refusal(client.get("/v1/chat/completions"), 405, "method_not_allowed")
    refusal(client.post("/v1/models"), 405, "method_not_allowed")
    refusal(ask(firm.key(firm.alice), path="embeddings"), 404, "not_found")
    refusal(ask(None, path="load_lora_adapter"), 401, "invalid_api_key")


def test_engine_settings_that_are_not_a_clients_business_are_dropped(
    ask: Ask, with_engine: RunningEngine, firm: Firm, styles: list[Path]
) -> None:
    """The engine of these tests refuses unknown parameters, so an answer shows that it never saw them."""
    live(firm, styles[0], by=firm.alice, approver=firm.bob)
    settings = {"chat_template": "{{ x }}", "lora_request": {"path": "/"}, "cache_salt": "another firm's"}
    answer = ask(firm.key(firm.alice), {**settings, "user": "me", "top_p": None, "max_tokens": 2})
    assert answer.status_code == 200, answer.content
    assert answer["X-Housestyle-Adapter"] == "briefs@1"


def test_numbers_that_json_does_not_have_are_refused(
    ask: Ask, with_engine: RunningEngine, firm: Firm, styles: list[Path]
) -> None:
    live(firm, styles[0], by=firm.alice, approver=firm.bob)
    key = firm.key(firm.alice)
    for number in ("NaN", "1e999"):
        refusal(ask(key, f'{{"messages": {json.dumps(HELLO)}, "temperature": {number}}}'), 400, "invalid")


def test_the_engines_own_refusal_is_passed_on(
    ask: Ask, with_engine: RunningEngine, firm: Firm, styles: list[Path]
) -> None:
    live(firm, styles[0], by=firm.alice, approver=firm.bob)
    long = [{"role": "user", "content": "word " * 5000}]
    assert "2048" in refusal(ask(firm.key(firm.alice), {"messages": long}), 400, "context_length_exceeded")


def test_an_engine_that_is_away_is_a_503(ask: Ask, settings: Any, firm: Firm, styles: list[Path]) -> None:
    live(firm, styles[0], by=firm.alice, approver=firm.bob)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # taken, but nobody listens
        settings.ENGINE_URL = f"http://127.0.0.1:{closed.getsockname()[1]}"
        for stream in (False, True):
            message = refusal(ask(firm.key(firm.alice), {"stream": stream}), 503, "unavailable")
            assert "engine" in message


def test_an_engine_with_another_token_is_a_503(
    ask: Ask, with_engine: RunningEngine, settings: Any, firm: Firm, styles: list[Path]
) -> None:
    live(firm, styles[0], by=firm.alice, approver=firm.bob)
    settings.ENGINE_TOKEN = "another"
    refusal(ask(firm.key(firm.alice)), 503, "unavailable")


def test_weights_that_are_not_the_approved_ones_are_never_loaded(
    ask: Ask, with_engine: RunningEngine, firm: Firm, styles: list[Path]
) -> None:
    version = live(firm, styles[0], by=firm.alice, approver=firm.bob)
    weights = storage.adapter_dir(firm.tenant.id, version.id) / WEIGHTS
    weights.write_bytes((styles[1] / WEIGHTS).read_bytes())  # a valid adapter, but another one
    message = refusal(ask(firm.key(firm.alice)), 503, "unavailable")
    assert "not the ones that were approved" in message
    weights.unlink()
    assert "cannot be read" in refusal(ask(firm.key(firm.alice)), 503, "unavailable")
    loaded = with_engine.http.get("/v1/models").json()["data"]
    assert version.engine_name not in {model["id"] for model in loaded}


def test_an_adapter_that_the_engine_lost_is_loaded_again(
    ask: Ask, with_engine: RunningEngine, firm: Firm, styles: list[Path]
) -> None:
    version = live(firm, styles[0], by=firm.alice, approver=firm.bob)
    key = firm.key(firm.alice)
    for _ in range(2):
        assert ask(key, {"max_tokens": 2}).status_code == 200
        assert with_engine.unload(version.engine_name).status_code == 200


def test_the_models_are_the_firms_approved_versions(
    client: Client, firm: Firm, other_firm: Firm, styles: list[Path]
) -> None:
    live(firm, styles[0], by=firm.alice, approver=firm.bob)
    learned(firm, styles[1], by=firm.alice, approver=firm.bob)
    learned(firm, styles[1], by=firm.alice)
    live(other_firm, styles[1], by=other_firm.carol, approver=other_firm.dave, name="letters")
    key = firm.key(firm.alice)
    listed = client.get("/v1/models", headers={"Authorization": f"Bearer {key}"}).json()
    assert listed["object"] == "list"
    assert [(model["id"], model["live"]) for model in listed["data"]] == [
        ("briefs", True),
        ("briefs@2", False),
        ("briefs@1", True),
    ]
