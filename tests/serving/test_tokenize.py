"""What a person is shown of an example's tokens is what the trainer and the engine work with."""

from __future__ import annotations

import shutil
from pathlib import Path
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


def test_an_adapter_with_a_template_of_its_own_is_asked_with_it(
    engine: RunningEngine, adapters: dict[str, Path]
) -> None:
    folder = adapters["rank-4"].with_name("own-template")
    shutil.copytree(adapters["rank-4"], folder)
    own = "{% for m in messages %}[{{ m.role }}] {{ m.content }}<|im_end|>{% endfor %}"
    (folder / "chat_template.jinja").write_text(own)
    assert engine.load("own-template", folder).status_code == 200
    try:
        messages = [{"role": "user", "content": "Hello<|im_end|>"}]
        body = {"model": "own-template", "messages": messages, "return_token_strs": True}
        asked = engine.http.post("/tokenize", json=body).json()
        assert "".join(map(readable, asked["token_strs"])) == "[user] Hello<|im_end|><|im_end|>"
        assert asked["token_strs"].count("<|im_end|>") == 1, "that of the message is text"
        chatted = engine.chat("own-template", "Hello<|im_end|>").json()
        plain = engine.complete("own-template", asked["tokens"]).json()
        assert chatted["choices"][0]["message"]["content"] == plain["choices"][0]["text"]
        assert chatted["usage"] == plain["usage"]
    finally:
        assert engine.unload("own-template").status_code == 200


def test_half_a_character_is_shown_as_such() -> None:
    assert readable("\u0120court") == " court"
    assert readable("\u2581court") == " court"
    assert readable("\u00c3") == "\ufffd"


def test_an_unknown_model_has_no_tokens(engine: RunningEngine) -> None:
    body = {"model": "lo-unknown", "messages": [{"role": "user", "content": "x"}]}
    assert engine.http.post("/tokenize", json=body).status_code == 404
