"""From lines to tokens: what is learnt, what is cut, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.data import citation_lines
from workers.engine.base_model import BaseModel
from workers.engine.batches import Batch
from workers.engine.errors import EngineError
from workers.engine.examples import Line, encode, encode_one
from workers.serving.text import TextModel

PROMPT, COMPLETION = "Restyle 347 US 483.", "347 U. S. 483 (1954)"


def test_the_labels_are_the_completion_and_the_end_token(tiny: BaseModel) -> None:
    example = encode_one(tiny, PROMPT, COMPLETION)
    asked, labels = (
        str(tiny.tokenizer.decode(list(tokens)))
        for tokens in (example.tokens[: example.prompt_length], example.tokens[example.prompt_length :])
    )
    assert labels == f"{COMPLETION}<|im_end|>"
    assert asked.endswith(f"<|im_start|>user\n{PROMPT}<|im_end|>\n<|im_start|>assistant\n")


def test_a_batch_scores_each_label_from_the_row_before_it(tiny: BaseModel) -> None:
    examples = encode(tiny, citation_lines(3), 1024).train
    batch = Batch.of(examples)
    own = [token for example in examples for token in example.tokens[batch.shared : -1]]
    rows = [*examples[0].tokens[: batch.shared], *own]
    assert batch.shared > 0 and batch.tokens.tolist() == rows
    assert len(batch.labels) == sum(example.labels for example in examples)
    for row, label in zip(batch.label_rows.tolist(), batch.labels.tolist(), strict=True):
        ends_example = row + 1 == len(rows) or batch.positions[row + 1] == batch.shared
        assert label in tiny.stop_tokens if ends_example else rows[row + 1] == label


@pytest.mark.parametrize("prompt", [PROMPT, "Ends in a space ", "Zeile\n\n12", "«Ünïcode» — § 5", ""])
def test_a_prompt_has_the_tokens_that_it_has_when_served(
    tiny: BaseModel, tiny_folder: Path, prompt: str
) -> None:
    example = encode_one(tiny, prompt, "\n\n12 F.3d 4")
    served = TextModel(tiny_folder).encode_chat([{"role": "user", "content": prompt}])
    assert list(example.tokens[: example.prompt_length]) == served


def test_a_completion_that_is_too_long_loses_its_end_and_is_counted(tiny: BaseModel) -> None:
    whole = encode_one(tiny, PROMPT, COMPLETION)
    limit = whole.prompt_length + 5
    dataset = encode(tiny, [Line("train", PROMPT, COMPLETION)], limit)
    assert dataset.truncated == 1
    assert dataset.train[0].tokens == whole.tokens[:limit]
    assert not set(dataset.train[0].tokens[whole.prompt_length :]) & tiny.stop_tokens


def test_an_example_whose_prompt_fills_the_length_is_left_out_and_counted(tiny: BaseModel) -> None:
    lines = [Line("train", PROMPT, COMPLETION), Line("train", "word " * 200, "no room")]
    dataset = encode(tiny, lines, 128)
    assert (len(dataset.train), dataset.truncated) == (1, 1)


def test_nothing_is_longer_than_the_base_can_read(tiny: BaseModel) -> None:
    dataset = encode(tiny, [Line("train", PROMPT, "word " * 3000)], 8192)
    assert len(dataset.train[0].tokens) == tiny.context == 2048


def test_it_refuses_a_dataset_without_training_examples(tiny: BaseModel) -> None:
    with pytest.raises(EngineError, match="no training examples: add documents"):
        encode(tiny, citation_lines(3, "heldout"), 1024)


def test_it_refuses_a_length_that_no_prompt_fits_into(tiny: BaseModel) -> None:
    with pytest.raises(EngineError, match="choose a longer one"):
        encode(tiny, [Line("train", "word " * 200, "x")], 64)


def test_what_was_said_before_is_part_of_the_prompt_and_no_label(tiny: BaseModel) -> None:
    context = [
        {"role": "system", "content": "You draft."},
        {"role": "user", "content": "Cite it."},
        {"role": "assistant", "content": "539 U. S. 306."},
    ]
    example = encode_one(tiny, PROMPT, COMPLETION, context)
    asked = str(tiny.tokenizer.decode(list(example.tokens[: example.prompt_length])))
    assert asked.startswith("<|im_start|>system\nYou draft.<|im_end|>\n<|im_start|>user\nCite it.<|im_end|>")
    labels = str(tiny.tokenizer.decode(list(example.tokens[example.prompt_length :])))
    assert labels == f"{COMPLETION}<|im_end|>"
