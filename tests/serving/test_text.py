"""Prompts as transformers writes them, and text that is never cut inside a character."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from workers.serving.errors import EngineError
from workers.serving.text import Detokenizer, StopStrings, TextModel

CONVERSATIONS: list[list[dict[str, str]]] = [
    [{"role": "user", "content": "What is 539 U. S. 306?"}],
    [
        {"role": "system", "content": "Write as Ashworth & Vale."},
        {"role": "user", "content": "Dear <b>Sir</b>"},
    ],
    [
        {"role": "user", "content": "  Zürich §2.05\n\n"},
        {"role": "assistant", "content": "§ 2.05"},
        {"role": "user", "content": "Again"},
    ],
]


@pytest.fixture(scope="module")
def reference(tiny_model: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_model)


@pytest.mark.parametrize("messages", CONVERSATIONS)
def test_a_conversation_becomes_the_tokens_transformers_makes_of_it(
    text: TextModel, reference: Any, messages: list[dict[str, str]]
) -> None:
    wanted = reference.apply_chat_template(messages, add_generation_prompt=True)["input_ids"]
    assert text.encode_chat(messages) == wanted


def test_a_prompt_becomes_the_tokens_transformers_makes_of_it(text: TextModel, reference: Any) -> None:
    prompt = "In re Zürich, 12 F. 3d 34 (1999) 日本"
    assert text.encode(prompt) == reference(prompt)["input_ids"]


def test_a_base_without_a_template_refuses_conversations(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").symlink_to(tiny_model / "tokenizer.json")
    with pytest.raises(EngineError, match="no chat template"):
        TextModel(tmp_path).encode_chat(CONVERSATIONS[0])


def test_a_template_may_refuse_a_conversation_and_can_not_reach_out(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").symlink_to(tiny_model / "tokenizer.json")
    for template in ("{{ raise_exception('no') }}", "{{ messages.__class__.__base__.__subclasses__() }}"):
        (tmp_path / "chat_template.jinja").write_text(template)
        with pytest.raises(EngineError, match="chat template refuses"):
            TextModel(tmp_path).encode_chat(CONVERSATIONS[0])


@settings(max_examples=200, deadline=None)
@given(
    content=st.text(
        alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\ufffd"), max_size=60
    )
)
def test_text_told_piece_by_piece_is_the_whole_text(text: TextModel, content: str) -> None:
    tokens = text.encode(content)
    assume(text.decode(tokens) == content)  # the vocabulary lacks some bytes of rare characters
    detokenizer = Detokenizer(text)
    pieces = [detokenizer.add(token) for token in tokens]
    assert not any("\ufffd" in piece for piece in pieces)
    assert "".join(pieces) == content


def test_bytes_that_never_become_a_character_are_told_in_the_end(text: TextModel) -> None:
    half = text.encode("日")[:1] * 100
    detokenizer = Detokenizer(text)
    told = "".join(detokenizer.add(token) for token in half)
    assert set(told) <= {"\ufffd"}
    assert detokenizer.add(text.encode(" word")[0]).endswith(" word")


@given(
    pieces=st.lists(st.text(alphabet="ab\n", max_size=4), max_size=12),
    stops=st.lists(st.text(alphabet="ab\n", min_size=1, max_size=4), min_size=1, max_size=3),
)
def test_pieces_are_cut_where_the_whole_text_would_be(pieces: list[str], stops: list[str]) -> None:
    cutter = StopStrings(stops)
    told = ""
    for piece in pieces:
        told += cutter.add(piece)
        if cutter.met:
            break
    told += cutter.rest()
    whole = "".join(pieces)
    assert cutter.met == any(stop in whole for stop in stops)
    assert whole.startswith(told) if cutter.met else told == whole
    assert not any(stop in told for stop in stops)
