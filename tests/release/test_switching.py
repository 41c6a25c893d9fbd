"""No request in flight is lost when what is live changes: real streams, web process and engine."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import openai
import pytest

from tests.conftest import Firm
from tests.live import Web, learned, live, own_words
from webapp.adapters.models import AdapterVersion
from webapp.core.tenancy import tenant_scope
from webapp.serving import rollouts, services
from webapp.serving.models import Rollout
from webapp.serving.routing import what_is_open

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("web")]

PROMPT = "Put the citations of this passage into our house style."
# Long enough to be under way for all of a switch, whatever the machine.
STREAMS, TOKENS, FEW = 4, 300, 12
Answer = tuple[str, str, str]


def ask(web: Web, key: str, tokens: int = TOKENS, begun: Callable[[], Any] = lambda: None) -> Answer:
    """The streamed text, the model it names and why it ended; calls `begun` after the first chunk."""
    client = openai.OpenAI(base_url=web.openai_url, api_key=key, max_retries=0)
    chunks = client.chat.completions.create(
        model="",
        messages=[{"role": "user", "content": PROMPT}],
        max_tokens=tokens,
        temperature=0,
        stream=True,
    )
    text, names, ends = "", set(), []
    for number, chunk in enumerate(chunks):
        if number == 0:
            begun()
        names.add(chunk.model)
        for choice in chunk.choices:
            text += choice.delta.content or ""
            ends += [choice.finish_reason] if choice.finish_reason else []
    (name,), (end,) = names, ends
    return text, name, end


def retire_first(firm: Firm, first: AdapterVersion, second: AdapterVersion) -> None:
    """The whole way out: another is live, it is retired, and the engine lets go of it."""
    services.put_live(member=firm.bob, version=second)
    services.retire(member=firm.bob, version=first)


def promote(firm: Firm, first: AdapterVersion, second: AdapterVersion) -> None:
    for share in (50, 100):
        rollouts.send_share(member=firm.bob, version=second, share=share)


def roll_back(firm: Firm, first: AdapterVersion, second: AdapterVersion) -> None:
    services.put_live(member=firm.bob, version=second)
    services.put_live(member=firm.bob, version=first)
    services.roll_back(member=firm.bob, to=second)


SWITCHES = [retire_first, *(pytest.param(switch, marks=pytest.mark.slow) for switch in (promote, roll_back))]


@pytest.mark.parametrize("switch", SWITCHES)
def test_streams_end_whole_from_the_version_that_began_them(
    web: Web, firm: Firm, styles: list[Path], switch: Callable[..., None]
) -> None:
    first = live(firm, styles[0], by=firm.alice, approver=firm.bob)
    second = learned(firm, styles[1], by=firm.alice, approver=firm.bob)
    key = firm.key(firm.alice)
    before = own_words(web.engine, styles[0], PROMPT, max_tokens=TOKENS)
    after = own_words(web.engine, styles[1], PROMPT, max_tokens=FEW)
    assert not before.startswith(after)
    news: SimpleQueue[BaseException | None] = SimpleQueue()

    def stream() -> Answer:
        try:
            return ask(web, key, begun=lambda: news.put(None))
        except BaseException as problem:
            news.put(problem)
            raise

    with ThreadPoolExecutor(STREAMS) as threads:
        streams = [threads.submit(stream) for _ in range(STREAMS)]
        assert [news.get(timeout=60) for _ in range(STREAMS)] == [None] * STREAMS, "all have begun"
        with tenant_scope(firm.tenant.id):
            switch(firm, first, second)
        assert web.engine.load_now() > 0, "they are under way"
        assert web.engine.unload(first.engine_name).status_code == 200
        new = ask(web, key, FEW)
        answers = [stream.result() for stream in streams]

    assert {(name, end) for _, name, end in answers} == {("briefs@1", "length")}
    assert {text for text, _, _ in answers} == {before}
    assert new == (after, "briefs@2", "length")


def test_each_user_of_a_program_is_answered_by_one_side(web: Web, firm: Firm, styles: list[Path]) -> None:
    live(firm, styles[0], by=firm.alice, approver=firm.bob)
    second = learned(firm, styles[1], by=firm.alice, approver=firm.bob)
    words = {
        f"briefs@{number}": own_words(web.engine, style, PROMPT) for number, style in enumerate(styles, 1)
    }
    client = openai.OpenAI(base_url=web.openai_url, api_key=firm.key(firm.alice), max_retries=0)
    with tenant_scope(firm.tenant.id):
        trial = rollouts.send_share(member=firm.bob, version=second, share=50)
        Rollout.objects.filter(id=trial.id).update(id=uuid.UUID(int=1))  # it splits alike in every run
        now = what_is_open(firm.tenant.id)
    sides = {str(at): str(now.choose(str(at)).version) for at in range(10)}
    for user, version in [*sides.items()] * 2:
        answer = client.chat.completions.create(
            model="live",
            messages=[{"role": "user", "content": PROMPT}],
            max_tokens=12,
            temperature=0,
            user=user,
        )
        assert (answer.model, answer.choices[0].message.content) == (version, words[version]), user
    assert set(sides.values()) == set(words), "both answer"
