"""The real tokenizer, as it was prepared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer


@pytest.fixture(scope="module")
def tokenizer(base_folder: Path) -> Any:
    return AutoTokenizer.from_pretrained(base_folder, local_files_only=True)


@pytest.mark.parametrize(
    "text", ["1234567890", "347 U.S. 483, 495-96 (1954)", "¶¶12\n\n34", "a1b22c333", "  9"]
)
def test_digits_are_tokens_of_their_own(tokenizer: Any, text: str) -> None:
    tokens = [tokenizer.decode([token]) for token in tokenizer(text)["input_ids"]]
    assert [token for token in tokens if any(c.isdigit() for c in token)] == [c for c in text if c.isdigit()]
    assert "".join(tokens) == text or tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_white_space_before_a_digit_is_split_as_the_model_learnt_it(tokenizer: Any) -> None:
    assert tokenizer.tokenize("a\n\n1") == ["a", "ĊĊ", "1"]


def test_a_conversation_has_the_models_own_marks(tokenizer: Any) -> None:
    text = tokenizer.apply_chat_template([{"role": "user", "content": "Hello"}], tokenize=False)
    assert "<|im_start|>user\nHello<|im_end|>" in text
    assert tokenizer.convert_tokens_to_ids("<|im_end|>") == tokenizer.eos_token_id == 2
