"""The official OpenAI client as programs use it, beyond whose adapter answers: see `tests/gateway`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam
from pydantic import BaseModel, ConfigDict

from tests.conftest import Firm
from tests.live import Web, own_words
from webapp.core.tenancy import firm_scope
from webapp.usage import services as usage

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("web")]

PROMPT = "Put the citations of this passage into our house style."
MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": PROMPT}]


class Citation(BaseModel):
    """An answer of which each field can take few values, so that it ends whatever the model likes to say."""

    model_config = ConfigDict(extra="forbid")

    court: Literal["Supreme Court", "Court of Appeals"]
    overruled: bool


def client(web: Web, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=web.openai_url, api_key=key, max_retries=0)


@pytest.fixture
def program(web: Web, key: str) -> openai.OpenAI:
    return client(web, key)


def test_several_answers_come_in_order_and_are_all_counted(
    program: openai.OpenAI, web: Web, styles: list[Path]
) -> None:
    expected = own_words(web.engine, styles[0], PROMPT)
    greedy = program.chat.completions.create(model="", messages=MESSAGES, max_tokens=12, temperature=0, n=3)
    assert [choice.index for choice in greedy.choices] == [0, 1, 2]
    assert [choice.message.content for choice in greedy.choices] == [expected] * 3
    assert greedy.usage and greedy.usage.completion_tokens == 36

    drawn = program.chat.completions.create(model="", messages=MESSAGES, max_tokens=12, n=3, seed=5)
    again = program.chat.completions.create(model="", messages=MESSAGES, max_tokens=12, n=3, seed=5)
    texts = [choice.message.content for choice in drawn.choices]
    assert len(set(texts)) == 3, "each is drawn on its own"
    assert texts == [choice.message.content for choice in again.choices], "and the seed repeats them all"


def test_several_answers_are_streamed_side_by_side(
    program: openai.OpenAI, web: Web, styles: list[Path]
) -> None:
    chunks = list(
        program.chat.completions.create(
            model="", messages=MESSAGES, max_tokens=12, temperature=0, n=2, stream=True
        )
    )
    texts, ends = ["", ""], []
    for choice in (choice for chunk in chunks for choice in chunk.choices):
        texts[choice.index] += choice.delta.content or ""
        ends += [(choice.index, choice.finish_reason)] if choice.finish_reason else []
    assert texts == [own_words(web.engine, styles[0], PROMPT)] * 2
    assert sorted(ends) == [(0, "length"), (1, "length")]


def test_a_streams_last_chunk_counts_what_the_whole_answer_counts(program: openai.OpenAI) -> None:
    ask: dict[str, Any] = {"model": "", "messages": MESSAGES, "max_tokens": 5, "temperature": 0}
    chunks = list(program.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True}))
    assert all(chunk.usage is None and chunk.choices for chunk in chunks[:-1])
    assert chunks[-1].choices == []
    assert chunks[-1].usage == program.chat.completions.create(**ask).usage


def test_logprobs_tell_what_the_model_thought_of_each_token(program: openai.OpenAI) -> None:
    answer = program.chat.completions.create(
        model="", messages=MESSAGES, max_tokens=8, temperature=0, logprobs=True, top_logprobs=3
    )
    choice = answer.choices[0]
    assert choice.logprobs and choice.logprobs.content
    told = choice.logprobs.content
    assert len(told) == 8
    spelt = b"".join(bytes(token.bytes or ()) for token in told).decode(errors="replace")
    assert spelt == choice.message.content
    for token in told:
        ranks = [other.logprob for other in token.top_logprobs]
        assert len(ranks) == 3 and ranks == sorted(ranks, reverse=True)
        assert token.logprob == ranks[0], "the greedy choice is the likeliest"
        assert sum(map(math.exp, ranks)) <= 1.0001


def test_an_answer_takes_the_shape_that_a_class_describes(program: openai.OpenAI) -> None:
    answer = program.chat.completions.parse(
        model="", messages=MESSAGES, max_tokens=200, seed=1, response_format=Citation
    )
    choice = answer.choices[0]
    assert choice.finish_reason == "stop"
    assert isinstance(choice.message.parsed, Citation)


def test_an_answer_takes_the_shape_of_a_schema_also_streamed(program: openai.OpenAI) -> None:
    chunks = program.chat.completions.create(
        model="",
        messages=MESSAGES,
        max_tokens=200,
        seed=2,
        stream=True,
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "citation", "schema": Citation.model_json_schema()},
        },
    )
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    Citation.model_validate_json(text)  # raises where it is no such answer


def test_prompts_come_together_as_text_or_as_tokens(program: openai.OpenAI) -> None:
    def texts(prompt: Any, **settings: Any) -> list[str]:
        answer = program.completions.create(model="", prompt=prompt, max_tokens=4, temperature=0, **settings)
        assert [choice.index for choice in answer.choices] == list(range(len(answer.choices)))
        return [choice.text for choice in answer.choices]

    (first,), (second,) = texts("The court"), texts("The parties agree")
    assert texts(["The court", "The parties agree"]) == [first, second]
    assert texts(["The court", "The parties agree"], n=2) == [first, first, second, second]
    assert texts([[5, 6, 7], [8, 9]]) == [*texts([5, 6, 7]), *texts([8, 9])]


def test_a_prompt_can_be_scored_without_writing_any_more(program: openai.OpenAI) -> None:
    scored = program.completions.create(
        model="", prompt="The court held", max_tokens=0, echo=True, logprobs=2
    )
    choice = scored.choices[0]
    assert choice.text == "The court held"
    assert choice.logprobs and choice.logprobs.tokens and choice.logprobs.token_logprobs
    assert "".join(choice.logprobs.tokens) == "The court held"
    told: list[Any] = [*choice.logprobs.token_logprobs]
    assert told[0] is None, "nothing comes before it"
    assert told[1:] and all(value < 0 for value in told[1:])
    assert scored.usage and scored.usage.completion_tokens == 0


def test_headers_tell_what_answered_and_what_is_left(web: Web, firm: Firm, key: str) -> None:
    numbers: dict[str, int | None] = {"requests_per_minute": 100, "tokens_per_minute": 50_000}
    with firm_scope(firm.tenant.id):
        usage.set_limits(member=firm.dora, key=None, numbers=numbers)
    for stream in (False, True):
        raw = client(web, key).chat.completions.with_raw_response.create(
            model="", messages=MESSAGES, max_tokens=3, stream=stream
        )
        said = raw.headers
        assert raw.request_id and raw.request_id.startswith("req-")
        assert (said["X-Housestyle-Adapter"], said["X-Housestyle-Adapter-Version"]) == ("briefs@1", "1")
        assert len(said["X-Housestyle-Adapter-Digest"]) == 64
        assert said["x-ratelimit-limit-requests"] == "100"
        assert said["x-ratelimit-remaining-requests"] == ("98" if stream else "99")
        assert 0 < int(said["x-ratelimit-remaining-tokens"]) < int(said["x-ratelimit-limit-tokens"]) == 50_000
        assert said["x-ratelimit-reset-tokens"].endswith("s")
        assert int(said["openai-processing-ms"]) >= 0


def test_a_limit_is_the_clients_rate_limit_error(web: Web, firm: Firm, key: str) -> None:
    with firm_scope(firm.tenant.id):
        usage.set_limits(member=firm.dora, key=None, numbers={"requests_per_minute": 1})
    program = client(web, key)
    program.chat.completions.create(model="", messages=MESSAGES, max_tokens=1)
    with pytest.raises(openai.RateLimitError) as refused:
        program.chat.completions.create(model="", messages=MESSAGES, max_tokens=1)
    assert (refused.value.code, refused.value.type) == ("rate_limit_exceeded", "rate_limit_exceeded")
    assert 0 < int(refused.value.response.headers["Retry-After"]) <= 61
    assert refused.value.response.headers["x-ratelimit-remaining-requests"] == "0"


def test_other_refusals_are_the_clients_own_errors_too(web: Web, firm: Firm, key: str) -> None:
    def refused(kind: type[openai.APIStatusError], secret: str = key, **body: Any) -> openai.APIStatusError:
        asked: dict[str, Any] = {"model": "", "messages": MESSAGES, "max_tokens": 1, **body}
        with pytest.raises(kind) as raised:
            client(web, secret).chat.completions.create(**asked)
        assert raised.value.request_id
        return raised.value

    assert refused(openai.AuthenticationError, "hs_wrong").code == "invalid_api_key"
    assert refused(openai.PermissionDeniedError, firm.key(firm.alice, scopes=["read"])).code == (
        "insufficient_scope"
    )
    assert refused(openai.NotFoundError, model="letters").code == "model_not_found"
    assert refused(openai.BadRequestError, temperature=3).param == "temperature"
    assert refused(openai.BadRequestError, tools=[{"type": "function"}]).code == "unknown_parameter"
    assert refused(openai.BadRequestError, max_tokens=4000).code == "context_length_exceeded"
    with pytest.raises(openai.NotFoundError):
        client(web, key).embeddings.create(model="briefs", input="The court")


def test_the_models_are_listed_and_told_one_by_one(program: openai.OpenAI) -> None:
    listed = {model.id for model in program.models.list()}
    assert listed == {"briefs", "briefs@1"}
    assert program.models.retrieve("briefs@1").id == "briefs@1"
    with pytest.raises(openai.NotFoundError):
        program.models.retrieve("base")
