"""The choice of a token: what may be chosen and how likely, held against transformers' own processors."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from workers.serving.penalties import LogitBias, Penalties
from workers.serving.sampler import OVERFLOWED, Chosen, Sampler, choose

VOCABULARY = 600


def asked(
    sampler: Sampler | None = None,
    *,
    bias: LogitBias | None = None,
    penalties: Penalties | None = None,
    grammar: Any = None,
    logprobs: int | None = None,
) -> Any:
    """What `choose` looks at of a sequence."""
    sampler = sampler or Sampler(temperature=0)
    return SimpleNamespace(
        sampler=sampler, bias=bias, penalties=penalties, grammar=grammar, logprobs=logprobs
    )


def logits(seed: int, rows: int = 1) -> Tensor:
    return torch.randn(rows, VOCABULARY, generator=torch.Generator().manual_seed(seed)) * 3


def token(row: Tensor, sequence: Any) -> int:
    (chosen,) = choose(row, [sequence])
    assert isinstance(chosen, Chosen)
    return chosen.token


def reference(row: Tensor, **wanted: Any) -> Tensor:
    """The probabilities that transformers draws from, in vLLM's order of the cuts."""
    steps: list[Any] = []
    if "temperature" in wanted:
        steps.append(TemperatureLogitsWarper(wanted["temperature"]))
    if "min_p" in wanted:
        steps.append(MinPLogitsWarper(wanted["min_p"]))
    if "top_k" in wanted:
        steps.append(TopKLogitsWarper(wanted["top_k"]))
    if "top_p" in wanted:
        steps.append(TopPLogitsWarper(wanted["top_p"]))
    nothing_before: Any = torch.zeros(1, 0, dtype=torch.int64)
    scores: Any = row
    found: Tensor = LogitsProcessorList(steps)(nothing_before, scores)
    return found.softmax(-1)[0]


@pytest.mark.parametrize(
    "wanted",
    [
        {"temperature": 0.7},
        {"temperature": 1.5, "top_k": 7},
        {"temperature": 1.0, "top_p": 0.8},
        {"temperature": 2.0, "top_p": 0.99},
        {"temperature": 1.2, "min_p": 0.05},
        {"temperature": 1.5, "top_k": 20, "top_p": 0.9},
        {"temperature": 1.5, "min_p": 0.02, "top_p": 0.8},
        {"temperature": 1.5, "top_k": 10, "min_p": 0.05, "top_p": 0.9},
    ],
    ids=str,
)
def test_tokens_are_drawn_as_likely_as_by_transformers(wanted: dict[str, Any]) -> None:
    row = logits(3)
    probabilities = reference(row, **wanted)
    sequence = asked(Sampler(seed=11, **wanted))
    draws = 4000
    drawn = Counter(token(row, sequence) for _ in range(draws))
    assert all(probabilities[one] > 0 for one in drawn), "nothing is drawn that is out of question"
    best = probabilities.topk(5)
    for likely, one in zip(best.values.tolist(), best.indices.tolist(), strict=True):
        spread = (likely * (1 - likely) / draws) ** 0.5
        assert drawn[one] / draws == pytest.approx(likely, abs=5 * spread + 1e-9)


@given(
    seed=st.integers(0, 50),
    prompt=st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=30),
    answer=st.lists(st.integers(0, VOCABULARY - 1), max_size=30),
    repetition=st.floats(0.5, 2),
    presence=st.floats(-2, 2),
    frequency=st.floats(-2, 2),
)
@settings(max_examples=60, deadline=None)
def test_penalties_are_transformers_and_openais(
    seed: int,
    prompt: list[int],
    answer: list[int],
    repetition: float,
    presence: float,
    frequency: float,
) -> None:
    row = logits(seed)
    expected = RepetitionPenaltyLogitsProcessor(repetition)(torch.tensor([prompt + answer]), row.clone())[0]
    for one, times in Counter(answer).items():  # as OpenAI's guide writes it
        expected[one] -= times * frequency + presence
    penalties = Penalties(prompt, VOCABULARY, presence=presence, frequency=frequency, repetition=repetition)
    for one in answer:
        penalties.add(one)
    changed = row[0].numpy().copy()
    penalties.change(changed)
    assert changed == pytest.approx(expected.numpy(), abs=1e-5)
    assert token(row, asked(penalties=penalties)) == int(changed.argmax())


@pytest.mark.parametrize("penalty", [1e-300, 100.0])
def test_the_furthest_penalties_leave_something_to_choose(penalty: float) -> None:
    penalties = Penalties(range(VOCABULARY), VOCABULARY, repetition=penalty)
    assert 0 <= token(logits(1), asked(penalties=penalties)) < VOCABULARY
    assert 0 <= token(logits(1), asked(Sampler(temperature=1), penalties=penalties)) < VOCABULARY


def test_a_bias_is_added() -> None:
    row = logits(2)
    least, most = int(row.argmin()), int(row.argmax())
    assert token(row, asked(bias=LogitBias({least: 100.0}))) == least
    assert token(row, asked(bias=LogitBias({most: -100.0}))) != most
    assert int(row.argmax()) == most, "the logits are others' too and stay as they are"


@given(seed=st.integers(0, 2**63 - 1), rows=st.integers(1, 6), at=st.integers(0, 5), data=st.data())
@settings(max_examples=50, deadline=None)
def test_a_choice_depends_on_its_own_row_and_seed_alone(
    seed: int, rows: int, at: int, data: st.DataObject
) -> None:
    all_logits = logits(seed % 97, rows)
    at %= rows
    wanted: dict[str, Any] = data.draw(
        st.fixed_dictionaries(
            {},
            optional={"top_p": st.just(0.9), "top_k": st.just(30), "min_p": st.just(0.01)},
        )
    )
    mine = Sampler(temperature=1.3, seed=seed, **wanted)
    alone = [token(all_logits[at : at + 1], asked(mine)) for _ in range(3)]
    company = [
        asked(Sampler(temperature=float(other % 2), seed=other, top_k=other), logprobs=other)
        for other in range(rows)
    ]
    company[at] = asked(replace(mine))
    together = []
    for _ in range(3):
        chosen = choose(all_logits, company)[at]
        assert isinstance(chosen, Chosen)
        together.append(chosen.token)
    assert together == alone


def test_each_row_tells_as_many_of_the_likeliest_as_it_wants() -> None:
    all_logits = logits(5, 4)
    wanted = [None, 0, 5, 2]
    chosen = choose(all_logits, [asked(logprobs=one) for one in wanted])
    for row, one, top in zip(all_logits, chosen, wanted, strict=True):
        assert isinstance(one, Chosen)
        if top is None:
            assert one.logprob is None
            continue
        assert one.logprob is not None and one.logprob.logprob is not None
        own = row.log_softmax(-1)
        assert one.logprob.logprob == pytest.approx(float(own[one.token]), abs=1e-5)
        assert [place for place, _ in one.logprob.top] == own.topk(top).indices.tolist()


def test_only_the_row_without_numbers_has_no_token() -> None:
    rows = logits(6, 3)
    rows[1] = float("nan")
    first, second, third = choose(rows, [asked(Sampler(seed=1)), asked(logprobs=1), asked()])
    assert second == OVERFLOWED
    assert isinstance(first, Chosen) and isinstance(third, Chosen)
    assert third.token == int(rows[2].argmax())
