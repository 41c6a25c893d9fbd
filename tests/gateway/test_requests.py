"""What of a request reaches the engine: nothing that was not checked, under names that all engines know."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from webapp.core.errors import Invalid
from webapp.gateway import requests
from webapp.gateway.requests import MAX_TOKENS, Ask
from webapp.serving.engine import Route

HELLO = [{"role": "user", "content": "Hello"}]
SCHEMA = {"type": "object", "properties": {"cite": {"type": "string"}}, "required": ["cite"]}


def chat(**body: Any) -> Ask:
    return requests.parse(json.dumps({"messages": HELLO, **body}).encode(), Route.CHAT)


def complete(prompt: Any, **body: Any) -> Ask:
    return requests.parse(json.dumps({"prompt": prompt, **body}).encode(), Route.COMPLETION)


PASSED: dict[str, Any] = {
    "n": 8,
    "temperature": 0.5,
    "top_p": 1,
    "top_k": -1,
    "min_p": 0.1,
    "presence_penalty": -2,
    "frequency_penalty": 2,
    "repetition_penalty": 1.1,
    "seed": -(2**63),
    "stop": ["\n\n", "END"],
    "logit_bias": {"198": -100, "50256": 0.5},
    "response_format": {"type": "json_object"},
    "stream_options": {"include_usage": True},
}


def test_what_both_routes_take_reaches_the_engine_as_it_was_sent() -> None:
    assert chat(**PASSED).body == {"messages": HELLO, **PASSED}
    assert complete("See", **PASSED).body == {"prompt": "See", **PASSED}


def test_each_route_takes_its_own() -> None:
    logprobs = {"logprobs": True, "top_logprobs": 5}
    assert chat(**logprobs, max_completion_tokens=7).body == {
        "messages": HELLO,
        **logprobs,
        "max_completion_tokens": 7,
    }
    scored = {"logprobs": 1, "echo": True, "max_tokens": 0}
    assert complete("See", **scored).body == {"prompt": "See", **scored}


@pytest.mark.parametrize(
    ("prompt", "sent", "answers"),
    [
        ("See", "See", 1),
        (["See"], "See", 1),
        (["See", "Compare"], ["See", "Compare"], 2),
        ([1, 2, 3], [1, 2, 3], 1),
        ([[1, 2], [3]], [[1, 2], [3]], 2),
        (["x"] * 32, ["x"] * 32, 32),
    ],
)
def test_prompts_are_texts_or_token_ids_one_or_several(prompt: Any, sent: Any, answers: int) -> None:
    ask = complete(prompt, n=2)
    assert ask.body["prompt"] == sent
    assert ask.answers == 2 * answers


@pytest.mark.parametrize(
    "prompt", [None, 7, [], [[]], {}, [1, "x"], [[1], "x"], [-1], [True], [2**40], ["x"] * 33], ids=repr
)
def test_no_other_prompt_is_sent(prompt: Any) -> None:
    refused(lambda: complete(prompt), "prompt")


def test_more_tokens_than_anybody_gets_are_as_many_as_one_may_have() -> None:
    assert chat(max_tokens=10**30).max_tokens == MAX_TOKENS
    assert chat(max_completion_tokens=5, max_tokens=9).max_tokens == 5
    assert chat().max_tokens is None


def test_one_stop_is_a_list_of_one() -> None:
    assert chat(stop="END").body["stop"] == ["END"]


def test_a_schema_is_rebuilt_from_what_is_known_of_one() -> None:
    said = {"name": "cites", "schema": SCHEMA, "strict": True, "description": "for people"}
    sent = chat(response_format={"type": "json_schema", "json_schema": said}).body["response_format"]
    assert sent == {
        "type": "json_schema",
        "json_schema": {"name": "cites", "schema": SCHEMA, "strict": True},
    }


@pytest.mark.parametrize(
    ("model", "means"), [(None, None), ("", None), ("default", None), ("live", "live"), ("x@1", "x@1")]
)
def test_a_model_that_is_left_out_is_the_keys_default(model: str | None, means: str | None) -> None:
    assert chat(model=model).model == means


def test_what_is_not_a_clients_business_is_dropped() -> None:
    dropped = {
        "chat_template": "{{ x }}",
        "chat_template_kwargs": {},
        "lora_request": {"path": "/"},
        "cache_salt": "another firm's",
        "prompt_embeds": "AAAA",
        "mm_processor_kwargs": {},
        "metadata": {"a": "b"},
        "store": True,
    }
    ask = chat(**dropped, user="alice", top_p=None)
    assert ask.body == {"messages": HELLO}
    assert ask.user == "alice", "kept for ourselves"


UNKNOWN = ["tools", "functions", "guided_json", "structured_outputs", "use_beam_search", "best_of", "echo"]
UNKNOWN += [
    "ignore_eos",
    "min_tokens",
    "stop_token_ids",
    "bad_words",
    "allowed_token_ids",
    "logits_processors",
]
UNKNOWN += [
    "prompt_logprobs",
    "truncate_prompt_tokens",
    "vllm_xargs",
    "kv_transfer_params",
    "Temperature",
    "",
]


@pytest.mark.parametrize("name", UNKNOWN)
def test_any_other_setting_is_refused_by_name(name: str) -> None:
    with pytest.raises(Invalid) as refusal:
        chat(**{name: 1})
    assert refusal.value.code == "unknown_parameter"
    assert f"“{name}”" in refusal.value.message


WRONG: dict[str, list[Any]] = {
    "n": [0, 9, 1.0, True, "2"],
    "temperature": [-0.1, 2.1, "1", True, float("nan"), float("inf")],
    "top_p": [0, 1.1],
    "top_k": [-2, 1.5, 10**9],
    "min_p": [-1, 2],
    "presence_penalty": [-2.1, 3],
    "frequency_penalty": [-3, []],
    "repetition_penalty": [0, -1, 2.5],
    "seed": [2**63, 1.5],
    "stop": ["", [""], ["x"] * 17, ["x" * 501], [7], {}],
    "logit_bias": [[], {"a": 1}, {"-1": 1}, {"²": 1}, {str(token): 1 for token in range(1025)}],
    "max_tokens": [0, -1, 1.5, "8"],
    "logprobs": [1, "true"],
    "top_logprobs": [5],  # without logprobs
    "response_format": ["json_object", {}, {"type": "grammar"}, {"type": "structural_tag"}],
    "stream_options": [True, {"include_usage": 1}],
}


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, values in WRONG.items() for value in values],
    ids=lambda value: repr(value)[:30],
)
def test_a_value_out_of_bounds_is_refused_by_its_name(name: str, value: Any) -> None:
    refused(lambda: chat(**{name: value}), name)


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"logit_bias": {"7": 101}}, "logit_bias.7"),
        ({"stream_options": {"continuous_usage_stats": True}}, "stream_options.continuous_usage_stats"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": {"enum": ["x" * 70_000]}}}},
            "response_format.json_schema.schema",
        ),
        ({"messages": [{"role": "user", "content": "x"}, {"role": "root"}]}, "messages[1]"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_part_of_a_value_is_named_too(body: dict[str, Any], name: str) -> None:
    refused(lambda: chat(**body), name)


@pytest.mark.parametrize(
    "raw", [b'{"prompt": "\\ud800"}', b'{"prompt": "\xed\xa0\x80"}', b"\xff", b"[", b"1"]
)
def test_what_is_no_text_is_refused(raw: bytes) -> None:
    with pytest.raises(Invalid) as refusal:
        requests.parse(raw, Route.COMPLETION)
    assert refusal.value.code == "invalid_json"


def refused(asking: Any, name: str) -> None:
    """It is refused, in one sentence that names the field as OpenAI's clients are told it."""
    with pytest.raises(Invalid) as refusal:
        asking()
    assert f"“{name}”" in refusal.value.message and refusal.value.message.endswith(".")
    assert list(refusal.value.fields) == [name]


SCALAR = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["", "x", "json_schema"])
KEYS = st.sampled_from(["type", "json_schema", "schema", "role", "content", "7", "include_usage"])
JSON = SCALAR | st.lists(SCALAR | st.lists(SCALAR, max_size=2), max_size=3) | st.dictionaries(KEYS, SCALAR)
FIELDS = sorted({*PASSED, "messages", "prompt", "model", "stream", "max_tokens", "logprobs", "top_logprobs"})


@settings(deadline=None, max_examples=200)
@given(
    body=st.dictionaries(st.sampled_from(FIELDS), JSON), route=st.sampled_from([Route.CHAT, Route.COMPLETION])
)
@example(body={"messages": [{"role": {}, "content": []}]}, route=Route.CHAT)
@example(body={"prompt": [[True]]}, route=Route.COMPLETION)
def test_any_body_is_taken_or_refused_and_nothing_else(body: dict[str, Any], route: Route) -> None:
    prompt = {"messages": HELLO} if route is Route.CHAT else {"prompt": "See"}
    for sent in (body, {**body, **prompt}):
        try:
            ask = requests.parse(json.dumps(sent).encode(), route)
        except Invalid:
            continue
        json.dumps(ask.body, allow_nan=False)
        assert ask.answers >= 1
