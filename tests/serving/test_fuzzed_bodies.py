"""Whatever is sent, the engine answers or refuses in OpenAI's shape, and goes on."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.serving.engines import RunningEngine

FUZZ = settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.sampled_from([0, 1, -1, 2, 0.5, 1e-300, 1e300, 2**63, 20, 49151, 49152]),
    st.text(max_size=8),
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
penalties = st.floats(-2, 2)
schemas = st.recursive(
    st.sampled_from(
        [
            {"type": "integer", "minimum": 0, "maximum": 12},
            {"type": "string", "maxLength": 4},
            {"type": "string", "pattern": "^[a-f]{2}$"},
            {"type": "boolean"},
            {"enum": ["a", 1, None]},
            {"const": "é"},
            {"type": "nonsense"},
            {},
        ]
    ),
    lambda inner: (
        st.builds(lambda one: {"type": "array", "items": one, "maxItems": 2}, inner)
        | st.builds(
            lambda one, two: {
                "type": "object",
                "properties": {"a": one, "b": two},
                "required": ["a"],
                "additionalProperties": False,
            },
            inner,
            inner,
        )
        | st.builds(lambda one, two: {"anyOf": [one, two]}, inner, inner)
    ),
    max_leaves=4,
)
formats = st.sampled_from([{"type": "text"}, {"type": "json_object"}]) | schemas.map(
    lambda schema: {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
)
# Values that are right more often than not, so that much is answered, too.
plausible: dict[str, st.SearchStrategy[Any]] = {
    "temperature": st.floats(0, 2),
    "top_p": st.floats(0, 1, exclude_min=True),
    "top_k": st.integers(-1, 60_000),
    "min_p": st.floats(0, 1),
    "seed": st.integers(-(2**63), 2**63 - 1),
    "stop": st.text(max_size=3) | st.lists(st.text(min_size=1, max_size=3), max_size=3),
    "n": st.integers(1, 3),
    "max_tokens": st.integers(1, 6),
    "presence_penalty": penalties,
    "frequency_penalty": penalties,
    "repetition_penalty": st.floats(0, 100, exclude_min=True),
    "logit_bias": st.dictionaries(st.integers(0, 49151).map(str), st.floats(-100, 100), max_size=3),
    "response_format": formats,
    "stream": st.booleans(),
    "stream_options": st.just({"include_usage": True}),
    "cache_salt": st.text(max_size=3),
    "user": st.text(max_size=3),
    "metadata": st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
}
chat_only: dict[str, st.SearchStrategy[Any]] = {
    "logprobs": st.booleans(),
    "top_logprobs": st.integers(0, 20),
    "max_completion_tokens": st.integers(1, 6),
}
text_only: dict[str, st.SearchStrategy[Any]] = {
    "logprobs": st.integers(0, 20),
    "echo": st.booleans(),
}
texts = st.text(max_size=12) | st.sampled_from(["<|im_end|>\n<|im_start|>system\n", "\ud800", "\x00", " "])
contents = texts | st.lists(st.builds(lambda text: {"type": "text", "text": text}, texts), max_size=2)
messages = st.lists(
    st.builds(
        lambda role, content: {"role": role, "content": content},
        st.sampled_from(["system", "user", "assistant", "developer"]),
        contents,
    ),
    min_size=1,
    max_size=3,
)
tokens = st.lists(st.integers(0, 49151), min_size=1, max_size=6)
written = st.text(min_size=1, max_size=12)
prompts = (
    written | tokens | st.lists(written, min_size=1, max_size=3) | st.lists(tokens, min_size=1, max_size=3)
)
models = st.sampled_from(["base", "rank-16"])


def bodies(required: dict[str, Any], optional: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Settings that are right together, of which now and then one is anything, or one is unheard of."""
    known = st.fixed_dictionaries(required, optional=optional).map(together)
    names = st.sampled_from([*required, *optional]) | st.text(max_size=6)
    spoilt = st.builds(lambda body, name, value: {**body, name: value}, known, names, anything)
    return known | known | spoilt


def together(body: dict[str, Any]) -> dict[str, Any]:
    """Without what needs something else that is not there."""
    needs = {"stream_options": "stream", "top_logprobs": "logprobs"}
    return {name: value for name, value in body.items() if name not in needs or body.get(needs[name])}


def ask(engine: RunningEngine, path: str, body: dict[str, Any]) -> None:
    limited = body if "max_tokens" in body or "max_completion_tokens" in body else {**body, "max_tokens": 3}
    sent = json.dumps(limited)  # with NaN, and halves of surrogate pairs
    response = engine.http.post(path, content=sent)
    assert response.status_code < 500, (response.text, sent)
    if response.status_code != 200:
        assert set(response.json()["error"]) == {"message", "type", "param", "code"}
        assert response.status_code in (400, 404, 413, 429), (response.text, sent)
        return
    if body.get("stream"):
        assert response.text.endswith("data: [DONE]\n\n")
        assert "server_error" not in response.text, (response.text, sent)
        return
    answer = response.json()
    prompts = body.get("prompt")
    several = isinstance(prompts, list) and not isinstance(prompts[0], int)
    asked = len(prompts) if several and isinstance(prompts, list) else 1
    assert len(answer["choices"]) == asked * (body.get("n") or 1)
    assert all(choice["finish_reason"] in ("stop", "length") for choice in answer["choices"])


@FUZZ
@given(body=bodies({"model": models, "messages": messages}, {**plausible, **chat_only}))
def test_conversations_are_answered_or_refused(engine: RunningEngine, body: dict[str, Any]) -> None:
    ask(engine, "/v1/chat/completions", body)


@FUZZ
@given(body=bodies({"model": models, "prompt": prompts}, {**plausible, **text_only}))
def test_continuations_are_answered_or_refused(engine: RunningEngine, body: dict[str, Any]) -> None:
    ask(engine, "/v1/completions", body)


@settings(FUZZ, max_examples=60)
@given(
    path=st.sampled_from(
        [
            "/v1/chat/completions",
            "/v1/completions",
            "/tokenize",
            "/v1/load_lora_adapter",
            "/v1/unload_lora_adapter",
        ]
    ),
    body=st.binary(max_size=40) | anything.map(lambda value: json.dumps(value).encode()),
)
def test_bytes_of_any_kind_are_refused(engine: RunningEngine, path: str, body: bytes) -> None:
    response = engine.http.post(path, content=body)
    assert response.status_code in (400, 404), (response.text, body)
    assert set(response.json()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    "body", ["[" * 100_000, '{"a":' * 100_000, '{"model": "base", "prompt": ' + "[" * 5000]
)
def test_a_body_nested_without_end_is_refused(engine: RunningEngine, body: str) -> None:
    response = engine.http.post("/v1/completions", content=body)
    assert response.status_code == 400


def test_the_engine_is_as_well_as_before(engine: RunningEngine) -> None:
    assert httpx.get(f"{engine.url}/health").status_code == 200
    assert engine.complete("rank-16", "The court").status_code == 200
    assert engine.load_now() == 0
