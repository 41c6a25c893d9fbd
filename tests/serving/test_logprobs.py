"""Log-probabilities are those of transformers and PEFT, of answers and prompts, in OpenAI's shapes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openai
import pytest
import torch

from tests.serving.engines import RunningEngine, reference_logits
from workers.serving.text import TextModel

PROMPT = "In re Zürich, 539 U. S. 306 (日本)"
CLOSE = 1e-4


@pytest.fixture(scope="module")
def folders(tiny_model: Path, adapters: dict[str, Path]) -> dict[str, Path | None]:
    return {"base": None, "rank-16": adapters["rank-16"]}


def expected(base: Path, adapter: Path | None, tokens: list[int], first: int) -> torch.Tensor:
    """What precedes each token from `first` on says of all tokens, as log-probabilities."""
    return reference_logits(base, adapter, tokens)[first - 1 : len(tokens) - 1].log_softmax(-1)


@pytest.mark.parametrize("model", ["base", "rank-16"])
def test_an_answers_are_the_references(
    client: openai.OpenAI,
    tiny_model: Path,
    folders: dict[str, Path | None],
    text: TextModel,
    model: str,
) -> None:
    messages: Any = [{"role": "user", "content": PROMPT}]
    choice = client.chat.completions.create(
        model=model, messages=messages, max_tokens=10, temperature=0, logprobs=True, top_logprobs=20
    ).choices[0]
    assert choice.logprobs is not None and choice.logprobs.content is not None
    told = choice.logprobs.content
    prompt = text.encode_chat(messages)
    likeliest = _ids(text, [tuple(one.bytes or ()) for one in told])
    wanted = expected(tiny_model, folders[model], [*prompt, *likeliest], len(prompt))
    assert [one.logprob for one in told] == pytest.approx(
        wanted.gather(1, torch.tensor(likeliest)[:, None])[:, 0].tolist(), abs=CLOSE
    )
    for one, row in zip(told, wanted, strict=True):
        best = row.topk(20)
        assert [top.logprob for top in one.top_logprobs] == pytest.approx(best.values.tolist(), abs=CLOSE)
        assert [top.logprob for top in one.top_logprobs] == sorted(
            (top.logprob for top in one.top_logprobs), reverse=True
        )
        assert one.top_logprobs[0].token == one.token, "greedy answers take the likeliest"
    said = b"".join(bytes(one.bytes or ()) for one in told).decode(errors="ignore")
    assert said == choice.message.content


def test_they_are_the_models_own_whatever_changes_the_choice(engine: RunningEngine) -> None:
    """As in vLLM: of the raw distribution, before temperature, bias and penalties."""

    def first(**settings: Any) -> dict[str, float]:
        answer = engine.complete("rank-16", PROMPT, max_tokens=1, logprobs=3, **settings)
        return dict(answer.json()["choices"][0]["logprobs"]["top_logprobs"][0])

    plain = first()
    likeliest = max(plain, key=lambda token: plain[token])
    changed = first(logit_bias={"300": 100.0}, repetition_penalty=1.5, presence_penalty=2)
    assert len(changed) == 4, "the chosen token comes on top of the likeliest three"
    assert {token: changed[token] for token in plain} == plain
    assert min(changed, key=lambda token: changed[token]) != likeliest
    assert {*first(temperature=2, seed=1).items()} >= {*plain.items()}


def test_streamed_they_are_the_same(engine: RunningEngine) -> None:
    body: dict[str, Any] = {
        "model": "rank-16",
        "messages": [{"role": "user", "content": PROMPT}],
        "max_tokens": 12,
        "temperature": 0,
        "logprobs": True,
        "top_logprobs": 1,
    }
    whole = engine.http.post("/v1/chat/completions", json=body).json()["choices"][0]["logprobs"]
    pieces: list[Any] = []
    url = "/v1/chat/completions"
    with engine.http.stream("POST", url, json={**body, "stream": True}) as response:
        for line in response.iter_lines():
            if line.startswith("data: {"):
                choice = json.loads(line.removeprefix("data: "))["choices"][0]
                pieces += choice["logprobs"]["content"] if choice["logprobs"] else []
    assert len(whole["content"]) == 12
    assert [piece["token"] for piece in pieces] == [one["token"] for one in whole["content"]]
    assert [piece["logprob"] for piece in pieces] == pytest.approx(
        [one["logprob"] for one in whole["content"]], abs=CLOSE
    )


@pytest.mark.parametrize("model", ["base", "rank-16"])
@pytest.mark.parametrize("given", ["text", "tokens"])
def test_a_prompts_are_the_references(
    client: openai.OpenAI,
    tiny_model: Path,
    folders: dict[str, Path | None],
    text: TextModel,
    model: str,
    given: str,
) -> None:
    """As lm-eval asks: echo with one more token, over a prompt longer than what one step reads."""
    prompt = PROMPT * 30
    tokens = text.encode(prompt)
    assert len(tokens) > 256
    choice = client.completions.create(
        model=model,
        prompt=prompt if given == "text" else tokens,
        max_tokens=1,
        temperature=0,
        seed=1234,
        logprobs=1,
        echo=True,
    ).choices[0]
    told: Any = choice.logprobs
    assert len(told.token_logprobs) == len(told.top_logprobs) == len(told.tokens) == len(tokens) + 1
    assert told.token_logprobs[0] is None and told.top_logprobs[0] is None
    wanted = expected(tiny_model, folders[model], tokens, 1)
    own = wanted.gather(1, torch.tensor(tokens[1:])[:, None])[:, 0]
    assert told.token_logprobs[1:-1] == pytest.approx(own.tolist(), abs=CLOSE)
    best = [max(top.values()) for top in told.top_logprobs[1:-1]]
    assert best == pytest.approx(wanted.max(-1).values.tolist(), abs=CLOSE)
    assert choice.text.startswith(prompt)


def test_echo_with_no_new_token_tells_the_prompt_alone(engine: RunningEngine, text: TextModel) -> None:
    asked = engine.complete("base", PROMPT, max_tokens=0, echo=True, logprobs=0).json()
    choice = asked["choices"][0]
    tokens = text.encode(PROMPT)
    assert (choice["text"], choice["finish_reason"]) == (PROMPT, "length")
    assert len(choice["logprobs"]["tokens"]) == len(tokens)
    assert [len(top) for top in choice["logprobs"]["top_logprobs"][1:]] == [1] * (len(tokens) - 1)
    assert asked["usage"] == {
        "prompt_tokens": len(tokens),
        "completion_tokens": 0,
        "total_tokens": len(tokens),
    }


def test_echo_fills_the_context_where_nothing_is_to_follow(engine: RunningEngine) -> None:
    context = engine.http.get("/v1/models").json()["data"][0]["max_model_len"]
    prompt = [300] * context
    asked = engine.complete("base", prompt, max_tokens=0, echo=True, logprobs=0)
    assert len(asked.json()["choices"][0]["logprobs"]["tokens"]) == context
    assert engine.complete("base", prompt, max_tokens=1, echo=True).status_code == 400


def test_echo_streams_the_prompt_first(engine: RunningEngine) -> None:
    body = {"model": "base", "prompt": PROMPT, "max_tokens": 6, "temperature": 0, "echo": True, "logprobs": 2}
    whole = engine.http.post("/v1/completions", json=body).json()["choices"][0]
    pieces: list[Any] = []
    with engine.http.stream("POST", "/v1/completions", json={**body, "stream": True}) as response:
        for line in response.iter_lines():
            if line.startswith("data: {"):
                pieces += json.loads(line.removeprefix("data: "))["choices"]
    assert pieces[0]["text"] == PROMPT
    assert "".join(piece["text"] for piece in pieces) == whole["text"]
    for name in ("tokens", "text_offset"):
        assert [one for piece in pieces for one in piece["logprobs"][name]] == whole["logprobs"][name]


def test_offsets_say_where_each_tokens_text_begins(engine: RunningEngine, text: TextModel) -> None:
    choice = engine.complete("rank-16", PROMPT, max_tokens=20, echo=True, logprobs=0).json()["choices"][0]
    told = choice["logprobs"]
    ends = [*told["text_offset"][1:], None]
    for token, begin, end in zip(told["tokens"], told["text_offset"], ends, strict=True):
        if not token.startswith("bytes:") and end is not None and "\ufffd" not in choice["text"][begin:end]:
            assert choice["text"][begin:end] == token


def test_a_token_within_a_character_is_told_by_its_bytes(engine: RunningEngine, text: TextModel) -> None:
    tokens = text.encode("日")
    told = engine.complete("base", tokens, max_tokens=0, echo=True, logprobs=0).json()["choices"][0]
    assert told["text"] == "日"
    named = told["logprobs"]["tokens"]
    assert all(name.startswith("bytes:\\x") for name in named) and len(named) > 1
    assert bytes.fromhex("".join(named).replace("bytes:", "").replace("\\x", "")).decode() == "日"


def _ids(text: TextModel, told: list[tuple[int, ...]]) -> list[int]:
    """The tokens with these bytes."""
    known = {text.bytes.of(token): token for token in reversed(range(49152))}
    return [known[bytes(one)] for one in told]
