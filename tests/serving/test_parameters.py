"""Each setting of an answer does what OpenAI's and vLLM's documentation says, through the official client."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import openai
import pytest
import torch

from tests.serving.engines import RunningEngine, reference_logits, reference_model
from workers.serving.text import TextModel

PROMPT = "The parties agree that"
MESSAGES: Any = [{"role": "user", "content": PROMPT}]


def tokens_of(engine: RunningEngine, text: TextModel, **settings: Any) -> list[int]:
    """The tokens of an answer to PROMPT."""
    answer = engine.complete("rank-16", PROMPT, logprobs=0, **settings).json()
    known = {text.bytes.of(token): token for token in reversed(range(49152))}
    told: list[str] = answer["choices"][0]["logprobs"]["tokens"]
    return [
        known[
            bytes.fromhex(one.removeprefix("bytes:").replace("\\x", ""))
            if one.startswith("bytes:")
            else one.encode()
        ]
        for one in told
    ]


def test_a_bias_of_100_forces_a_token_and_of_minus_100_bans_it(
    client: openai.OpenAI, engine: RunningEngine, text: TextModel
) -> None:
    forced = text.encode(" court")[0]
    answer = client.chat.completions.create(
        model="base", messages=MESSAGES, max_tokens=5, temperature=1.5, logit_bias={str(forced): 100}
    )
    assert answer.choices[0].message.content == " court" * 5
    greedy = tokens_of(engine, text, max_tokens=8)
    banned = tokens_of(engine, text, max_tokens=8, logit_bias={str(greedy[0]): -100})
    assert greedy[0] not in banned


def test_a_repetition_penalty_answers_as_transformers_does(
    engine: RunningEngine, text: TextModel, tiny_model: Path, adapters: dict[str, Path]
) -> None:
    ids = torch.tensor([text.encode(PROMPT)])
    model = reference_model(tiny_model, adapters["rank-16"])
    with torch.inference_mode():
        wanted = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=24,
            do_sample=False,
            repetition_penalty=1.8,
        )[0, ids.shape[1] :].tolist()
    assert tokens_of(engine, text, max_tokens=24, repetition_penalty=1.8) == wanted
    assert tokens_of(engine, text, max_tokens=24) != wanted


@pytest.mark.parametrize(("presence", "frequency"), [(2.0, 0.0), (0.0, 1.5), (-1.0, 0.5)])
def test_presence_and_frequency_penalties_count_the_answer_alone(
    engine: RunningEngine,
    text: TextModel,
    tiny_model: Path,
    adapters: dict[str, Path],
    presence: float,
    frequency: float,
) -> None:
    tokens, counts = text.encode(PROMPT), Counter[int]()
    start = len(tokens)
    for _ in range(16):
        row = reference_logits(tiny_model, adapters["rank-16"], tokens)[-1].clone()
        for token, times in counts.items():
            row[token] -= presence + frequency * times
        tokens.append(int(row.argmax()))
        counts[tokens[-1]] += 1
    asked = {"presence_penalty": presence, "frequency_penalty": frequency}
    assert tokens_of(engine, text, max_tokens=16, **asked) == tokens[start:]


def test_top_k_and_min_p_leave_the_likeliest(engine: RunningEngine) -> None:
    greedy = engine.complete("rank-16", PROMPT).json()["choices"]
    assert engine.complete("rank-16", PROMPT, temperature=2, top_k=1).json()["choices"] == greedy
    assert engine.complete("rank-16", PROMPT, temperature=2, min_p=1).json()["choices"] == greedy
    for off in (-1, 0):
        drawn = engine.complete("rank-16", PROMPT, temperature=2, top_k=off, seed=3, max_tokens=12)
        assert drawn.json()["choices"][0]["text"] != greedy[0]["text"]


def test_n_gives_as_many_answers_and_a_seed_repeats_them_all(client: openai.OpenAI) -> None:
    def ask(seed: int) -> list[str | None]:
        answer = client.chat.completions.create(
            model="rank-16", messages=MESSAGES, n=4, max_tokens=10, temperature=1.3, seed=seed
        )
        assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
        assert answer.usage is not None
        assert answer.usage.completion_tokens == 40
        return [choice.message.content for choice in answer.choices]

    first = ask(5)
    assert len(set(first)) == 4
    assert ask(5) == first != ask(6)


def test_the_first_of_several_answers_is_the_one_that_would_come_alone(client: openai.OpenAI) -> None:
    def ask(n: int) -> str | None:
        answer = client.chat.completions.create(
            model="rank-16", messages=MESSAGES, n=n, max_tokens=10, temperature=1.3, seed=5
        )
        return answer.choices[0].message.content

    assert ask(1) == ask(3)


def test_several_prompts_are_answered_in_their_order(client: openai.OpenAI, text: TextModel) -> None:
    prompts = [PROMPT, "Zürich", "The court held"]

    def ask(prompt: Any, n: int = 1) -> Any:
        return client.completions.create(model="rank-16", prompt=prompt, n=n, max_tokens=6, temperature=0)

    alone = [ask(prompt).choices[0].text for prompt in prompts]
    several = ask(prompts, n=2)
    assert [choice.index for choice in several.choices] == list(range(6))
    assert [choice.text for choice in several.choices] == [text for text in alone for _ in range(2)]
    assert several.usage.prompt_tokens == sum(len(text.encode(prompt)) for prompt in prompts)
    assert several.usage.completion_tokens == 36
    tokens = ask([text.encode(prompt) for prompt in prompts])
    assert [choice.text for choice in tokens.choices] == alone


def test_several_answers_stream_side_by_side(client: openai.OpenAI) -> None:
    def asked(**settings: Any) -> Any:
        return client.chat.completions.create(
            model="rank-16", messages=MESSAGES, n=3, max_tokens=10, temperature=1.3, seed=8, **settings
        )

    texts, ended, usage = {0: "", 1: "", 2: ""}, list[int](), None
    for chunk in asked(stream=True, stream_options={"include_usage": True}):
        usage = chunk.usage
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
            ended += [choice.index] if choice.finish_reason else []
    whole = asked()
    assert [texts[index] for index in range(3)] == [choice.message.content for choice in whole.choices]
    assert sorted(ended) == [0, 1, 2]
    assert usage == whole.usage


def test_a_stop_string_is_found_across_the_borders_of_tokens(engine: RunningEngine, text: TextModel) -> None:
    whole = engine.complete("base", PROMPT, max_tokens=30, logprobs=0).json()["choices"][0]
    offsets = [offset for offset in whole["logprobs"]["text_offset"] if offset > 3]
    border = next(at for at in offsets if whole["text"][at - 2 : at + 2].isprintable())
    stop = whole["text"][border - 2 : border + 2]
    cut = engine.complete("base", PROMPT, max_tokens=30, stop=stop).json()["choices"][0]
    assert cut["text"] == whole["text"][: whole["text"].index(stop)]
    assert cut["finish_reason"] == "stop"


def test_echo_puts_the_prompt_before_the_answer(client: openai.OpenAI) -> None:
    plain = client.completions.create(model="base", prompt=PROMPT, max_tokens=5, temperature=0)
    echoed = client.completions.create(model="base", prompt=PROMPT, max_tokens=5, temperature=0, echo=True)
    assert echoed.choices[0].text == PROMPT + plain.choices[0].text
    assert echoed.choices[0].logprobs is None


def test_one_firms_prompt_is_answered_alike_with_and_without_shared_prefixes(
    engine: RunningEngine,
) -> None:
    long = PROMPT * 20
    plain = engine.complete("rank-16", long, n=2).json()["choices"]
    for _ in range(2):
        assert engine.complete("rank-16", long, n=2, cache_salt="firm").json()["choices"] == plain
    echoed = engine.complete("rank-16", long, cache_salt="firm", echo=True, logprobs=0)
    assert len(echoed.json()["choices"][0]["logprobs"]["tokens"]) == echoed.json()["usage"]["total_tokens"]
