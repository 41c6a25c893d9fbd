"""What the engine refuses, and how it says so."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.serving.engines import RunningEngine


def refusal(response: httpx.Response, status: int) -> dict[str, Any]:
    """The error of a refused request, in OpenAI's shape."""
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return dict(error)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models"),
        ("GET", "/load"),
        ("POST", "/v1/chat/completions"),
        ("POST", "/v1/completions"),
        ("POST", "/v1/load_lora_adapter"),
        ("POST", "/v1/unload_lora_adapter"),
        ("GET", "/no/such/route"),
    ],
)
@pytest.mark.parametrize(
    "given", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic a token for tests"}]
)
def test_every_route_but_health_demands_the_token(
    engine: RunningEngine, method: str, path: str, given: dict[str, str]
) -> None:
    response = httpx.request(method, engine.url + path, headers=given, json={} if method == "POST" else None)
    assert refusal(response, 401)["code"] == "invalid_api_key"


def test_health_is_free_and_empty(engine: RunningEngine) -> None:
    response = httpx.get(engine.url + "/health")
    assert (response.status_code, response.content) == (200, b"")


def test_an_unknown_model_is_404_and_never_the_base(engine: RunningEngine) -> None:
    for response in (engine.complete("lo-unknown", "Hello"), engine.chat("lo-unknown", "Hello")):
        error = refusal(response, 404)
        assert error["code"] == "model_not_found"
        assert "lo-unknown" in error["message"]


def test_a_request_must_name_its_model(engine: RunningEngine) -> None:
    response = engine.http.post("/v1/completions", json={"prompt": "Hello"})
    assert refusal(response, 400)["param"] == "model"


def test_unknown_parameters_are_refused_by_name(engine: RunningEngine) -> None:
    error = refusal(engine.chat("base", "Hello", presence_penalty=1, logit_bias={}), 400)
    assert error["code"] == "unknown_parameter"
    assert "presence_penalty" in error["message"]
    assert "logit_bias" in error["message"]


@pytest.mark.parametrize(
    ("settings", "param"),
    [
        ({"temperature": 3}, "temperature"),
        ({"temperature": "1"}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"n": 2}, "n"),
        ({"seed": 2**63}, "seed"),
        ({"stop": ["a", ""]}, "stop"),
        ({"stop": [1]}, "stop[0]"),
        ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "messages[0].content",
        ),
    ],
)
def test_a_wrong_value_is_refused_with_its_name(
    engine: RunningEngine, settings: dict[str, Any], param: str
) -> None:
    error = refusal(engine.chat("base", "Hello", **settings), 400)
    assert error["param"] == param
    assert error["message"].startswith(f"The parameter “{param}”")


def test_more_than_one_answer_is_refused_in_words(engine: RunningEngine) -> None:
    assert "one answer is given to a request" in refusal(engine.chat("base", "Hello", n=2), 400)["message"]


def test_one_answer_and_a_user_are_accepted(engine: RunningEngine) -> None:
    assert engine.chat("base", "Hello", n=1, user="alice", seed=None, stop=None).status_code == 200


def test_text_parts_are_read_as_one_text(engine: RunningEngine) -> None:
    parts = [{"type": "text", "text": "Hello "}, {"type": "text", "text": "there"}]
    split = engine.chat("base", "", messages=[{"role": "user", "content": parts}]).json()
    assert split["choices"] == engine.chat("base", "Hello there").json()["choices"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"nonsense", b'"text"'])
def test_a_body_that_is_no_json_object_is_refused(engine: RunningEngine, body: bytes) -> None:
    refusal(engine.http.post("/v1/completions", content=body), 400)


def test_a_huge_body_is_refused(engine: RunningEngine) -> None:
    refusal(engine.http.post("/v1/completions", content=b" " * (8 * 1024 * 1024 + 1)), 413)


def test_a_refusal_does_not_quote_the_prompt(engine: RunningEngine) -> None:
    response = engine.chat("base", "privileged words", temperature="privileged words")
    assert "privileged" not in response.text


def test_a_prompt_longer_than_the_context_is_refused_with_both_numbers(engine: RunningEngine) -> None:
    context = engine.http.get("/v1/models").json()["data"][0]["max_model_len"]
    error = refusal(engine.complete("base", [5] * (context + 3), max_tokens=1), 400)
    assert error["code"] == "context_length_exceeded"
    assert str(context) in error["message"]
    assert str(context + 3) in error["message"]


def test_an_answer_that_would_not_fit_is_refused_with_what_is_left(engine: RunningEngine) -> None:
    context = engine.http.get("/v1/models").json()["data"][0]["max_model_len"]
    error = refusal(engine.complete("base", [5] * 10, max_tokens=context), 400)
    assert f"at most {context - 10}" in error["message"]


@pytest.mark.parametrize("prompt", ["", [], [10**6], [-1], ["a", "b"], [True]])
def test_a_prompt_that_is_empty_or_no_tokens_is_refused(engine: RunningEngine, prompt: Any) -> None:
    refusal(engine.complete("base", prompt), 400)


def test_the_models_are_the_base_and_what_is_loaded(engine: RunningEngine, adapters: dict[str, Any]) -> None:
    listed = {card["id"]: card for card in engine.http.get("/v1/models").json()["data"]}
    assert set(listed) == {"base", *adapters}
    assert listed["base"]["parent"] is None
    assert all(listed[name]["parent"] == "base" for name in adapters)


def test_an_unknown_route_is_404_in_the_same_shape(engine: RunningEngine) -> None:
    refusal(engine.http.get("/v1/no-such-route"), 404)
    refusal(engine.http.get("/v1/completions"), 405)
