"""From the lines of a dataset to tokens: the chat template of the base around prompt and completion."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from weakref import WeakKeyDictionary

from workers.engine.errors import EngineError
from workers.marks import Marks

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from workers.engine.learner import Base

Split = Literal["train", "heldout"]


@dataclass(frozen=True)
class Line:
    """One line of a dataset file: what is asked, and how the house would answer.

    `context` is what was said before, in chats: messages with `role` and `content`.
    """

    split: Split
    prompt: str
    completion: str
    context: Sequence[dict[str, str]] = ()


@dataclass(frozen=True)
class Example:
    """The tokens of a conversation. Those from `prompt_length` on are its labels."""

    tokens: tuple[int, ...]
    prompt_length: int

    @property
    def labels(self) -> int:
        return len(self.tokens) - self.prompt_length


@dataclass(frozen=True)
class Dataset:
    train: tuple[Example, ...]
    heldout: tuple[Example, ...]
    truncated: int  # examples that were cut at the maximum length, or left out because their prompt fills it

    @property
    def examples(self) -> tuple[Example, ...]:
        return self.train + self.heldout


def read_lines(path: Path) -> list[Line]:
    """The lines of a dataset file, one JSON object each."""
    with path.open(encoding="utf-8") as file:
        return [Line(**json.loads(text)) for text in file if text.strip()]


def encode(base: Base, lines: Iterable[Line], max_length: int) -> Dataset:
    """Every line as tokens, at most `max_length` (or the base's context) of them each.

    A completion that is too long loses its end, and with it the token that ends an answer. Raises EngineError
    when nothing is left to train on.
    """
    limit = min(max_length, base.context)
    splits: dict[Split, list[Example]] = {"train": [], "heldout": []}
    truncated = trainable = 0
    for line in lines:
        example = encode_one(base, line.prompt, line.completion, line.context)
        trainable += line.split == "train"
        if len(example.tokens) > limit:
            truncated += 1
            example = Example(example.tokens[:limit], example.prompt_length)
        if example.labels > 0:
            splits[line.split].append(example)
    if not trainable:
        raise EngineError("The dataset has no training examples: add documents to it, then start again.")
    if not splits["train"]:
        raise EngineError(
            f"Every training example's prompt fills the maximum length of {limit} tokens: "
            "choose a longer one, then start again."
        )
    return Dataset(tuple(splits["train"]), tuple(splits["heldout"]), truncated)


def encode_one(base: Base, prompt: str, completion: str, context: Sequence[dict[str, str]] = ()) -> Example:
    """A conversation as the base will meet it: the prompt's tokens exactly as when an answer is generated.

    The answer is tokenised apart for that reason: joined, its first letters could melt into the prompt's last
    token. Its labels end with the token that ends an answer. Raises EngineError for a base that can't chat.
    """
    marks = _marks(base)
    answer = {"role": "assistant", "content": completion}
    broken = marks.break_up([*context, {"role": "user", "content": prompt}, answer])
    asked = _render(base, broken.messages[:-1], add_generation_prompt=True)
    whole = _render(base, broken.messages, add_generation_prompt=False)
    if not whole.startswith(asked):
        raise EngineError("The base model's chat template rewrites what was asked: choose another base.")
    prompt_tokens = marks.encode(asked, broken.at)
    answer_tokens = marks.encode(whole[len(asked) :], broken.at)
    return Example((*prompt_tokens, *_until_stop(answer_tokens, base.stop_tokens)), len(prompt_tokens))


def encode_prompt(
    base: Base, prompt: str, context: Sequence[dict[str, str]] = (), *, room: int = 0
) -> list[int]:
    """The tokens behind which an answer is generated; the end of them where they would leave less than `room`
    tokens of the base's context. Raises EngineError for a base that can't chat."""
    marks = _marks(base)
    broken = marks.break_up([*context, {"role": "user", "content": prompt}])
    text = _render(base, broken.messages, add_generation_prompt=True)
    return marks.encode(text, broken.at)[room - base.context :]


# Of the tokenizers in use: a process has one, tests have several.
_known_marks: WeakKeyDictionary[PreTrainedTokenizerBase, Marks] = WeakKeyDictionary()


def _marks(base: Base) -> Marks:
    """What tells the base's chat marks from text of an example, as when it is served."""
    tokenizer = base.tokenizer
    if tokenizer.chat_template is None:
        raise EngineError("The base model has no chat template: choose one that was made for conversations.")
    if tokenizer not in _known_marks:
        _known_marks[tokenizer] = Marks(tokenizer.backend_tokenizer.to_str(), tokenizer.chat_template)
    return _known_marks[tokenizer]


def _render(base: Base, messages: list[dict[str, str]], *, add_generation_prompt: bool) -> str:
    text = base.tokenizer.apply_chat_template(
        messages, tokenize=False, add_generation_prompt=add_generation_prompt
    )
    return str(text)


def _until_stop(tokens: list[int], stops: frozenset[int]) -> list[int]:
    """Up to and with the last token that ends an answer; templates may write more behind it."""
    last = max((place for place, token in enumerate(tokens) if token in stops), default=None)
    if last is None:
        return [*tokens, min(stops)] if stops else tokens
    return tokens[: last + 1]
