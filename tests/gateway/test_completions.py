"""The official OpenAI client against the running web process: whose adapter answers?"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.conftest import Firm
from tests.live import Web, learned, live, own_words

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("web")]

PROMPT = "Put the citations of this passage into our house style."


def client(web: Web, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=web.openai_url, api_key=key, max_retries=0)


def ask(web: Web, key: str, *, model: str = "", stream: bool = False) -> tuple[str, str, str]:
    """The answer, the model it names, and the adapter that the header names."""
    raw = client(web, key).chat.completions.with_raw_response.create(
        model=model,
        messages=[{"role": "user", "content": PROMPT}],
        max_tokens=12,
        temperature=0,
        stream=stream,
    )
    header = raw.headers["X-Housestyle-Adapter"]
    answer: Any = raw.parse()
    if not stream:
        return answer.choices[0].message.content, answer.model, header
    chunks = list(answer)
    (name,) = {chunk.model for chunk in chunks}
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices), name, header


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_each_firms_key_is_answered_by_that_firms_live_adapter(
    web: Web, firm: Firm, other_firm: Firm, styles: list[Path], stream: bool
) -> None:
    live(firm, styles[0], by=firm.alice, approver=firm.bob)
    live(other_firm, styles[1], by=other_firm.carol, approver=other_firm.dave, name="letters")
    expected = [own_words(web.engine, style, PROMPT) for style in styles]
    assert expected[0] != expected[1]

    ours = ask(web, firm.key(firm.alice), stream=stream)
    theirs = ask(web, other_firm.key(other_firm.carol), stream=stream)

    assert ours == (expected[0], "briefs@1", "briefs@1")
    assert theirs == (expected[1], "letters@1", "letters@1")


def test_two_firms_at_once_never_read_each_others_words(
    web: Web, firm: Firm, other_firm: Firm, styles: list[Path]
) -> None:
    live(firm, styles[0], by=firm.alice, approver=firm.bob)
    live(other_firm, styles[1], by=other_firm.carol, approver=other_firm.dave)
    keys = [firm.key(firm.alice), other_firm.key(other_firm.carol)]
    expected = [own_words(web.engine, style, PROMPT) for style in styles]

    def turn(number: int) -> bool:
        text, _, _ = ask(web, keys[number % 2], stream=number % 4 < 2)
        return text == expected[number % 2]

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(turn, range(24)))


def test_a_newly_live_version_answers_from_the_next_request_on(
    web: Web, firm: Firm, styles: list[Path]
) -> None:
    key = firm.key(firm.alice)
    live(firm, styles[0], by=firm.alice, approver=firm.bob)
    before = ask(web, key)
    live(firm, styles[1], by=firm.alice, approver=firm.bob)
    after = ask(web, key)
    assert (before[1], after[1]) == ("briefs@1", "briefs@2")
    assert after[0] == own_words(web.engine, styles[1], PROMPT)


def test_an_approved_version_can_be_named(web: Web, firm: Firm, styles: list[Path]) -> None:
    key = firm.key(firm.alice)
    live(firm, styles[0], by=firm.alice, approver=firm.bob)
    learned(firm, styles[1], by=firm.alice, approver=firm.bob)
    learned(firm, styles[1], by=firm.alice, approver=firm.bob, name="letters")
    learned(firm, styles[1], by=firm.alice, approver=firm.bob, name="letters")
    assert ask(web, key, model="briefs@2")[1] == "briefs@2"
    assert ask(web, key, model="briefs")[1] == "briefs@1", "the live version of the named adapter"
    assert ask(web, key, model="letters")[1] == "letters@2", "the newest approved one of another"
    for name in ("default", "live"):
        assert ask(web, key, model=name)[1] == "briefs@1"


def test_the_header_carries_the_digest_of_the_weights(web: Web, firm: Firm, styles: list[Path]) -> None:
    version = live(firm, styles[0], by=firm.alice, approver=firm.bob)
    raw = client(web, firm.key(firm.alice)).completions.with_raw_response.create(
        model="", prompt="The court", max_tokens=3
    )
    assert raw.headers["X-Housestyle-Adapter-Digest"] == version.sha256
    answer = raw.parse()
    assert answer.model == "briefs@1"
    assert answer.choices[0].text


def test_a_stream_can_count_its_tokens(web: Web, firm: Firm, styles: list[Path]) -> None:
    live(firm, styles[0], by=firm.alice, approver=firm.bob)
    chunks = client(web, firm.key(firm.alice)).chat.completions.create(
        model="",
        messages=[{"role": "user", "content": PROMPT}],
        max_tokens=4,
        stream=True,
        stream_options={"include_usage": True},
    )
    usage = list(chunks)[-1].usage
    assert usage is not None
    assert 0 < usage.completion_tokens <= 4


def test_a_client_that_hangs_up_frees_the_engine(web: Web, firm: Firm, styles: list[Path]) -> None:
    live(firm, styles[0], by=firm.alice, approver=firm.bob)
    stream = client(web, firm.key(firm.alice)).chat.completions.create(
        model="", messages=[{"role": "user", "content": PROMPT}], max_tokens=1500, stream=True
    )
    next(stream)
    stream.close()
    while web.engine.load_now():
        pass


def test_a_firm_without_a_live_adapter_gets_an_error_and_never_the_base(web: Web, firm: Firm) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        ask(web, firm.key(firm.alice))
    assert refused.value.code == "no_live_adapter"
    assert "no live adapter" in refused.value.message


def test_a_refusal_of_the_engine_reaches_the_client_with_its_sentence(
    web: Web, firm: Firm, styles: list[Path]
) -> None:
    live(firm, styles[0], by=firm.alice, approver=firm.bob)
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError) as refused:
            client(web, firm.key(firm.alice)).chat.completions.create(
                model="", messages=[{"role": "user", "content": "word " * 5000}], stream=stream
            )
        assert refused.value.code == "context_length_exceeded"
        assert "2048" in refused.value.message
