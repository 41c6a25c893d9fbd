"""What a person is shown of an example's tokens is what the trainer and the engine work with."""

from __future__ import annotations

from typing import Any

import pytest

from tests.models import tiny_model_folder
from tests.serving.engines import RunningEngine
from webapp.serving.tokens import readable
from workers.engine.base_model import BaseModel
from workers.engine.examples import encode_one

EXAMPLES = [
    ("Restyle 347 US 483.", "347 U. S. 483 (1954)"),
    ("Ends in a space ", "“Quoted” — § 5, naïve"),
    ("Zeile\n\n12", "Two paragraphs.\n\nThe second.\n"),
]


@pytest.fixture(scope="module")
def tiny() -> BaseModel:
    return BaseModel.load(tiny_model_folder())


def tokenize(engine: RunningEngine, messages: list[dict[str, str]], *, generation: bool) -> dict[str, Any]:
    body = {
        "model": "base",
        "messages": messages,
        "add_generation_prompt": generation,
        "return_token_strs": True,
    }
    answer = engine.http.post("/tokenize", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.mark.parametrize(("prompt", "completion"), EXAMPLES)
def test_a_conversation_has_the_tokens_it_is_trained_with(
    engine: RunningEngine, tiny: BaseModel, prompt: str, completion: str
) -> None:
    question = [{"role": "user", "content": prompt}]
    answered = [*question, {"role": "assistant", "content": completion}]
    trained = encode_one(tiny, prompt, completion)
    asked = tokenize(engine, question, generation=True)
    whole = tokenize(engine, answered, generation=False)
    assert asked["tokens"] == list(trained.tokens[: trained.prompt_length])
    assert whole["tokens"][: len(trained.tokens)] == list(trained.tokens)
    assert asked["count"] == trained.prompt_length


@pytest.mark.parametrize(("prompt", "completion"), EXAMPLES)
def test_tokens_are_readable(engine: RunningEngine, prompt: str, completion: str) -> None:
    strings = tokenize(engine, [{"role": "user", "content": prompt}], generation=True)["token_strs"]
    said = "".join(readable(string) for string in strings)
    assert said.endswith(f"<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n")


def test_half_a_character_is_shown_as_such() -> None:
    assert readable("\u0120court") == " court"
    assert readable("\u2581court") == " court"
    assert readable("\u00c3") == "\ufffd"


def test_an_unknown_model_has_no_tokens(engine: RunningEngine) -> None:
    body = {"model": "lo-unknown", "messages": [{"role": "user", "content": "x"}]}
    assert engine.http.post("/tokenize", json=body).status_code == 404
