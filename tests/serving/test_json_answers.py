"""Answers that are held to JSON, by a model that has never seen any."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import jsonschema
import openai
import pytest
from pydantic import BaseModel

from tests.serving.engines import RunningEngine
from tests.serving.test_requests import refusal

MESSAGES: Any = [{"role": "user", "content": "Cite Grutter v. Bollinger as JSON."}]
CITATION: dict[str, Any] = {
    "type": "object",
    "properties": {
        "court": {"type": "string", "maxLength": 6},
        "volume": {"type": "integer", "minimum": 1, "maximum": 999},
        "kind": {"enum": ["majority", "dissent"]},
        "pages": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 9}, "maxItems": 3},
        "overruled": {"type": "boolean"},
    },
    "required": ["court", "volume", "kind", "pages", "overruled"],
    "additionalProperties": False,
}


class Citation(BaseModel):
    court: Literal["Supreme Court", "Court of Appeals"]
    volume: Literal[539, 306]


def wanted(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "citation", "schema": schema, "strict": True}}


@pytest.mark.parametrize("model", ["base", "rank-16"])
def test_answers_are_what_the_schema_allows(client: openai.OpenAI, model: str) -> None:
    format_: Any = wanted(CITATION)
    answer = client.chat.completions.create(
        model=model, messages=MESSAGES, response_format=format_, temperature=1.2, n=4, seed=1, max_tokens=400
    )
    answers = [choice.message.content or "" for choice in answer.choices]
    assert [choice.finish_reason for choice in answer.choices] == ["stop"] * 4
    for one in answers:
        jsonschema.validate(json.loads(one), CITATION)
    assert len(set(answers)) == 4


def test_streamed_and_greedy_they_are_too(engine: RunningEngine) -> None:
    body = {"response_format": wanted(CITATION), "max_tokens": 400}
    whole = engine.chat("rank-16", "Cite", **body).json()["choices"][0]["message"]["content"]
    jsonschema.validate(json.loads(whole), CITATION)
    asked = {"model": "rank-16", "messages": [{"role": "user", "content": "Cite"}], "temperature": 0}
    text = ""
    with engine.http.stream(
        "POST", "/v1/chat/completions", json={**asked, **body, "stream": True}
    ) as response:
        for line in response.iter_lines():
            if line.startswith("data: {"):
                text += json.loads(line.removeprefix("data: "))["choices"][0]["delta"].get("content", "")
    assert text == whole


def test_the_official_clients_parse_gives_a_model(client: openai.OpenAI) -> None:
    answer = client.chat.completions.parse(
        model="base", messages=MESSAGES, response_format=Citation, max_tokens=100, temperature=1, seed=4
    )
    assert isinstance(answer.choices[0].message.parsed, Citation)


def test_a_json_object_is_one_wherever_it_is_cut(engine: RunningEngine) -> None:
    """Without a schema a model that knows no JSON may write for ever; that begins as one does."""
    choice = engine.chat(
        "rank-16", "Cite", response_format={"type": "json_object"}, max_tokens=20, temperature=1, seed=2
    ).json()["choices"][0]
    assert choice["message"]["content"].startswith("{")
    assert choice["finish_reason"] in ("stop", "length")
    if choice["finish_reason"] == "stop":
        assert isinstance(json.loads(choice["message"]["content"]), dict)


def test_an_answer_that_is_cut_by_its_length_says_so(engine: RunningEngine) -> None:
    choice = engine.chat("base", "Cite", response_format=wanted(CITATION), max_tokens=3).json()
    assert choice["choices"][0]["finish_reason"] == "length"


def test_continuations_can_be_held_too_and_text_is_not(engine: RunningEngine) -> None:
    held = engine.complete(
        "base", "{", response_format=wanted({"type": "boolean"}), max_tokens=9, temperature=1
    ).json()["choices"][0]
    assert held["text"] in ("true", "false")
    assert held["finish_reason"] == "stop"
    plain = engine.complete("base", "{").json()["choices"]
    assert engine.complete("base", "{", response_format={"type": "text"}).json()["choices"] == plain


def test_other_answers_in_the_batch_stay_as_they_are(engine: RunningEngine) -> None:
    def plain() -> str:
        answer = engine.complete("rank-16", "The court", max_tokens=48)
        return str(answer.json()["choices"][0]["text"])

    def held(seed: int) -> str:
        answer = engine.chat(
            "rank-16",
            "Cite",
            response_format=wanted(CITATION),
            temperature=1,
            seed=seed,
            max_tokens=400,
            frequency_penalty=1,
        )
        return str(answer.json()["choices"][0]["message"]["content"])

    alone = plain(), held(0), held(1)
    with ThreadPoolExecutor(6) as pool:
        mixed = [pool.submit(plain) if kind == 0 else pool.submit(held, kind - 1) for kind in (0, 1, 2) * 2]
        together = [one.result() for one in mixed]
    assert together == [*alone, *alone]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nonsense"},
        {"not": {"type": "string"}},
        {"$ref": "https://elsewhere.example/schema.json"},
        {"$ref": "#/$defs/absent"},
        {"type": "string", "pattern": "(?=a)b"},
        {"type": "string", "format": "no-such-format"},
        {"oneOf": [{"type": "integer"}, {"type": "number"}]},
        {"not": {}, "x-guidance": {"lenient": True}},
        {"type": "object", "properties": 5},
    ],
    ids=str,
)
def test_a_schema_that_can_not_be_held_to_is_refused(engine: RunningEngine, schema: dict[str, Any]) -> None:
    error = refusal(engine.chat("base", "Cite", response_format=wanted(schema)), 400)
    assert (error["param"], error["code"]) == ("response_format", "invalid_json_schema")


def test_a_huge_schema_is_refused(engine: RunningEngine) -> None:
    huge = {"enum": ["x" * 50 + str(number) for number in range(3000)]}
    assert refusal(engine.chat("base", "Cite", response_format=wanted(huge)), 400)["param"] == (
        "response_format"
    )


def test_a_schema_that_explodes_is_refused_and_others_are_answered(engine: RunningEngine) -> None:
    exploding = {"type": "string", "pattern": "^" + "(a|b)?" * 200 + "(a|b){2000}(c?a){2000}$"}
    error = refusal(engine.chat("base", "Cite", response_format=wanted(exploding), max_tokens=9), 400)
    assert error["param"] == "response_format"
    assert "too much to compute" in error["message"]
    assert engine.chat("base", "Hello").status_code == 200
