"""What both engines agree on, said over HTTP as the web and the reconciler say it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.engines.conftest import Marked
from tests.serving.engines import RunningEngine

pytestmark = pytest.mark.xdist_group("engines")

PROMPT = "The court held"
NAME = "lo-" + "0" * 32


@pytest.fixture
def adapter(running: RunningEngine, marked: list[Marked]) -> Iterator[Marked]:
    """The first marked adapter, loaded under NAME."""
    assert running.load(NAME, marked[0].folder).status_code == 200
    yield marked[0]
    running.unload(NAME)


def names(engine: RunningEngine) -> dict[str, str | None]:
    """Every model's parent."""
    return {card["id"]: card["parent"] for card in engine.http.get("/v1/models").json()["data"]}


def refusal(response: httpx.Response) -> dict[str, Any]:
    """The error of a refused request, in OpenAI's shape."""
    error: dict[str, Any] = response.json()["error"]
    assert {"message", "type", "param", "code"} <= set(error)
    assert error["message"] and isinstance(error["message"], str)
    return error


def events(response: httpx.Response) -> list[dict[str, Any]]:
    """The chunks of a stream that ended whole."""
    lines = [line.removeprefix("data: ") for line in response.text.split("\n") if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def test_an_adapter_is_loaded_once_and_unloaded_once(running: RunningEngine, marked: list[Marked]) -> None:
    assert running.load(NAME, marked[0].folder).status_code == 200
    assert names(running)[NAME] == "base"
    again = running.load(NAME, marked[1].folder)
    assert again.status_code == 400
    refusal(again)
    assert running.complete(NAME, PROMPT, max_tokens=1).json()["choices"][0]["text"].strip() == marked[0].mark
    assert running.unload(NAME).status_code == 200
    assert names(running) == {"base": None}
    assert running.unload(NAME).status_code == 404


def test_a_name_is_free_again_once_it_was_unloaded(running: RunningEngine, marked: list[Marked]) -> None:
    for each in marked[:2]:
        assert running.load(NAME, each.folder).status_code == 200
        assert running.complete(NAME, PROMPT, max_tokens=1).json()["choices"][0]["text"].strip() == each.mark
        assert running.unload(NAME).status_code == 200


def test_an_unknown_model_is_a_404_that_names_the_parameter(running: RunningEngine) -> None:
    for response in (running.complete(NAME, PROMPT), running.chat(NAME, PROMPT)):
        assert response.status_code == 404
        assert refusal(response)["param"] == "model"
    assert running.load(NAME, Path("/nowhere/at/all")).status_code >= 400
    assert NAME not in names(running)


def test_a_chat_answers_with_its_usage(running: RunningEngine, adapter: Marked) -> None:
    answer = running.chat(NAME, PROMPT, max_tokens=3).json()
    assert (answer["object"], answer["model"]) == ("chat.completion", NAME)
    (choice,) = answer["choices"]
    assert choice["message"]["role"] == "assistant"
    assert choice["message"]["content"].split() == [adapter.mark] * 3
    assert (choice["index"], choice["finish_reason"]) == (0, "length")
    usage = answer["usage"]
    assert usage["completion_tokens"] == 3
    assert usage["total_tokens"] == usage["prompt_tokens"] + 3


def test_a_completion_answers_with_its_usage(running: RunningEngine, adapter: Marked) -> None:
    answer = running.complete(NAME, PROMPT, max_tokens=3).json()
    assert (answer["object"], answer["model"]) == ("text_completion", NAME)
    (choice,) = answer["choices"]
    assert choice["text"].split() == [adapter.mark] * 3
    assert choice["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 3


@pytest.mark.parametrize("chat", [True, False], ids=["chat", "completion"])
def test_a_stream_says_what_the_whole_answer_says_and_counts_when_asked(
    running: RunningEngine, chat: bool
) -> None:
    ask = running.chat if chat else running.complete
    whole = ask("base", PROMPT, max_tokens=12).json()
    chunks = events(ask("base", PROMPT, max_tokens=12, stream=True, stream_options={"include_usage": True}))
    *spoken, last = chunks
    assert last["choices"] == [] and last["usage"]["total_tokens"] == whole["usage"]["total_tokens"]
    choices = [chunk["choices"][0] for chunk in spoken if chunk["choices"]]
    assert {chunk["model"] for chunk in chunks} == {"base"}
    assert [choice["finish_reason"] for choice in choices if choice["finish_reason"]] == [
        whole["choices"][0]["finish_reason"]
    ]
    if chat:
        said = "".join(choice["delta"].get("content") or "" for choice in choices)
        assert said == whole["choices"][0]["message"]["content"]
    else:
        assert "".join(choice["text"] for choice in choices) == whole["choices"][0]["text"]


def test_a_seed_repeats_what_was_drawn(running: RunningEngine) -> None:
    drawn = [
        running.chat("base", PROMPT, temperature=1.0, seed=seed).json()["choices"][0]["message"]["content"]
        for seed in (7, 7, 8)
    ]
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_stop_ends_the_answer_before_it(running: RunningEngine, adapter: Marked) -> None:
    (choice,) = running.complete(NAME, PROMPT, max_tokens=9, stop=[adapter.mark]).json()["choices"]
    assert (choice["text"].strip(), choice["finish_reason"]) == ("", "stop")


def test_one_request_can_have_several_answers(running: RunningEngine) -> None:
    answer = running.chat("base", PROMPT, n=3, temperature=1.0, seed=1, max_tokens=5).json()
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2]
    assert len({choice["message"]["content"] for choice in answer["choices"]}) > 1
    assert answer["usage"]["completion_tokens"] == 15


def test_a_chat_gives_log_probabilities(running: RunningEngine, adapter: Marked) -> None:
    (choice,) = running.chat(NAME, PROMPT, max_tokens=2, logprobs=True, top_logprobs=2).json()["choices"]
    first, second = choice["logprobs"]["content"]
    for token in (first, second):
        assert token["token"].strip() == adapter.mark
        assert bytes(token["bytes"]).decode() == token["token"]
        assert -0.5 < token["logprob"] <= 0
        assert token["top_logprobs"][0]["token"] == token["token"]
        assert len(token["top_logprobs"]) == 2


def test_a_completion_gives_log_probabilities(running: RunningEngine, adapter: Marked) -> None:
    (choice,) = running.complete(NAME, PROMPT, max_tokens=2, logprobs=2).json()["choices"]
    found = choice["logprobs"]
    assert [token.strip() for token in found["tokens"]] == [adapter.mark] * 2
    assert all(-0.5 < value <= 0 for value in found["token_logprobs"])
    assert all(len(top) == 2 for top in found["top_logprobs"])
    assert len(found["text_offset"]) == 2


def test_an_answer_can_be_held_to_a_schema(running: RunningEngine) -> None:
    schema = {
        "type": "object",
        "properties": {"held": {"enum": ["affirmed", "reversed"]}},
        "required": ["held"],
        "additionalProperties": False,
    }
    asked = {"type": "json_schema", "json_schema": {"name": "outcome", "schema": schema, "strict": True}}
    # A bias against blanks: a random model would fill the answer with those that JSON allows.
    bias = {str(token): -100 for token in blanks(running)}
    answer = running.chat("base", PROMPT, max_tokens=40, response_format=asked, logit_bias=bias).json()
    (choice,) = answer["choices"]
    assert choice["finish_reason"] == "stop"
    assert json.loads(choice["message"]["content"])["held"] in ("affirmed", "reversed")


def blanks(engine: RunningEngine) -> list[int]:
    """Tokens of the vocabulary that are made of blanks."""
    from tokenizers import Tokenizer

    from tests.models import vllm_model_folder

    tokenizer = Tokenizer.from_file(str(vllm_model_folder() / "tokenizer.json"))
    return [token for token in range(tokenizer.get_vocab_size()) if not tokenizer.decode([token]).strip()][
        :300
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -1},
        {"top_p": 2},
        {"n": 0},
        {"logprobs": True, "top_logprobs": 100},
        {"max_tokens": 100_000},
        {"response_format": {"type": "nonsense"}},
        {"messages": []},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_what_is_out_of_bounds_is_refused_in_openais_shape(
    running: RunningEngine, wrong: dict[str, Any]
) -> None:
    response = running.chat("base", PROMPT, **wrong)
    assert response.status_code == 400
    refusal(response)


def test_a_prompt_that_is_too_long_is_refused(running: RunningEngine) -> None:
    response = running.chat("base", "word " * 5000)
    assert response.status_code == 400
    assert "1024" in refusal(response)["message"]


def test_a_body_that_is_no_json_is_refused(running: RunningEngine) -> None:
    response = running.http.post(
        "/v1/chat/completions", content=b"{", headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 400
    refusal(response)


def test_nobody_is_answered_without_the_token(running: RunningEngine) -> None:
    for path in ("/v1/models", "/v1/chat/completions", "/v1/load_lora_adapter"):
        response = httpx.post(f"{running.url}{path}", json={}, trust_env=False)
        assert response.status_code == 401


def test_a_conversation_is_shown_as_tokens(running: RunningEngine) -> None:
    asked = {
        "model": "base",
        "messages": [{"role": "user", "content": "Hi"}],
        "add_generation_prompt": True,
        "return_token_strs": True,
    }
    answer = running.http.post("/tokenize", json=asked).json()
    assert len(answer["tokens"]) == len(answer["token_strs"]) == answer["count"]
    assert answer["token_strs"][0] == "<|im_start|>"
