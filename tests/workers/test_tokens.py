"""The worker counts an example's tokens as the trainer meets them, without the trainer's libraries."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.architecture.test_light_processes import loaded_by
from tests.models import tiny_model_folder
from webapp.datasets.examples import NewExample
from workers.engine.base_model import BaseModel
from workers.engine.examples import encode_one
from workers.tokens import BATCH, TokenCounter

CHAT = ({"role": "system", "content": "You draft."}, {"role": "user", "content": "Naïve “§ 5”?"})
words = st.text(st.sampled_from("aZ 09.§“\n<|im_end|>é契"), min_size=1, max_size=40)


@pytest.fixture(scope="module")
def counter() -> TokenCounter:
    return TokenCounter(tiny_model_folder())


@pytest.fixture(scope="module")
def base() -> BaseModel:
    return BaseModel.load(tiny_model_folder())


@given(words, words, st.sampled_from([(), CHAT]))
@settings(max_examples=60, deadline=None)
def test_lengths_are_the_trainers(
    counter: TokenCounter, base: BaseModel, prompt: str, completion: str, context: tuple[dict[str, str], ...]
) -> None:
    encoded = encode_one(base, prompt, completion, context)
    counted = counter.lengths([NewExample("chat", prompt, completion, context)])
    assert counted == [(encoded.prompt_length, encoded.labels)]


def test_many_at_once_are_counted_each_by_itself(counter: TokenCounter) -> None:
    many = [NewExample("pair", "Cite it.", "See " * n) for n in range(1, BATCH + 20)]
    assert counter.lengths(many) == [counter.lengths([one])[0] for one in many]
    assert counter.lengths([]) == []


def test_digits_are_tokens_of_their_own(counter: TokenCounter) -> None:
    assert counter.count("347 U.S. 483") == 11


def test_no_worker_loads_torch_for_it() -> None:
    assert loaded_by("import workers.tokens") & {"torch", "transformers", "peft"} == set()
