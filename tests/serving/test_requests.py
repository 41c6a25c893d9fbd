"""What the engine refuses, and how it says so."""

from __future__ import annotations

from typing import Any

import httpx
import openai
import pytest

from tests.serving.engines import TOKEN, RunningEngine


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
    error = refusal(engine.chat("base", "Hello", guided_json={}, best_of=2), 400)
    assert error["code"] == "unknown_parameter"
    assert error["param"] == "guided_json"
    assert "guided_json" in error["message"]
    assert "best_of" in error["message"]


@pytest.mark.parametrize(
    ("settings", "param"),
    [
        ({"temperature": 3}, "temperature"),
        ({"temperature": "1"}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"n": 0}, "n"),
        ({"n": 9}, "n"),
        ({"top_k": -2}, "top_k"),
        ({"min_p": 1.5}, "min_p"),
        ({"presence_penalty": 2.5}, "presence_penalty"),
        ({"frequency_penalty": -3}, "frequency_penalty"),
        ({"repetition_penalty": 0}, "repetition_penalty"),
        ({"logit_bias": {"a": 1}}, "logit_bias"),
        ({"logit_bias": {"5": 101}}, "logit_bias"),
        ({"logit_bias": {"5": True}}, "logit_bias"),
        ({"logit_bias": {"999999": 1}}, "logit_bias"),
        ({"logit_bias": [5]}, "logit_bias"),
        ({"logprobs": 3}, "logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"response_format": {"type": "yaml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        ({"response_format": {"type": "json_object", "json_schema": {"name": "x"}}}, "response_format"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"stop": "x" * 513}, "stop"),
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


@pytest.mark.parametrize(
    ("settings", "param"),
    [
        ({"max_tokens": 0}, "max_tokens"),
        ({"best_of": 2}, "best_of"),
        ({"suffix": "end"}, "suffix"),
        ({"logprobs": 21}, "logprobs"),
        ({"logprobs": True}, "logprobs"),
        ({"prompt": ["a"] * 33}, "prompt"),
        ({"prompt": [["a"]]}, "prompt"),
        ({"prompt": [[1], [2.5]]}, "prompt"),
        ({"prompt": {}}, "prompt"),
    ],
)
def test_a_wrong_value_of_a_continuation_is_refused_with_its_name(
    engine: RunningEngine, settings: dict[str, Any], param: str
) -> None:
    assert refusal(engine.complete("base", **{"prompt": "Hello", **settings}), 400)["param"] == param


def test_what_changes_no_answer_is_accepted(engine: RunningEngine) -> None:
    plain = engine.chat("base", "Hello").json()["choices"]
    for_records = {"user": "alice", "metadata": {"matter": "7"}, "store": True, "service_tier": "auto"}
    others = {"safety_identifier": "a", "prompt_cache_key": "b", "seed": None, "stop": None, "n": 1}
    answered = engine.chat("base", "Hello", **for_records, **others)
    assert answered.status_code == 200, answered.text
    assert answered.json()["choices"] == plain


def test_an_answer_can_be_sent_back_as_the_official_client_dumps_it(engine: RunningEngine) -> None:
    with openai.OpenAI(base_url=f"{engine.url}/v1", api_key=TOKEN, max_retries=0) as client:
        turns: list[Any] = [
            {"role": "developer", "content": "Be brief"},
            {"role": "user", "content": "Hello"},
        ]
        answer = client.chat.completions.create(model="base", messages=turns, max_tokens=3).choices[0].message
        turns += [answer.model_dump(), {"role": "user", "content": "Again", "name": "alice"}]
        assert client.chat.completions.create(model="base", messages=turns, max_tokens=3).choices


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


@pytest.mark.parametrize("prompt", ["", [], [10**6], [-1], [[5], []], ["a", ""], [True]])
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
