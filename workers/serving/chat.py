"""Conversations as tokens: the chat template, and marks that no message can forge."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from jinja2 import Template, TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from workers.marks import Broken, Marks
from workers.serving.errors import EngineError

_KEPT = 64  # compiled templates; adapters of one base mostly share theirs


class ChatEncoder:
    """Encodes conversations for one tokenizer: that of `tokenizer_json`, with its special tokens by name.

    `template` is that of the base, for adapters that have none of their own; None where it has none either.
    """

    def __init__(self, tokenizer_json: str, template: str | None, special: Mapping[str, str]) -> None:
        self._tokenizer_json = tokenizer_json
        self._template = template
        self._special = special
        self._prepared = functools.lru_cache(_KEPT)(self._prepare)

    def encode(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        template: str | None = None,
        add_generation_prompt: bool = True,
    ) -> list[int]:
        """The tokens of a conversation as the template renders it, up to where the next answer begins.

        Raises EngineError for messages that the template refuses.
        """
        compiled, marks = self._prepared(self._source(template))
        broken = _break_up(marks, messages)
        text = self._render(compiled, broken.messages, add_generation_prompt=add_generation_prompt)
        return marks.encode(text, broken.at)

    def encode_examples(
        self, conversations: Sequence[Sequence[Mapping[str, str]]]
    ) -> list[tuple[list[int], list[int]]]:
        """Of each conversation, whose last message is the answer, the tokens up to where the answer begins,
        and those of the rest: tokenised apart, as the trainer does. Raises as `encode`."""
        compiled, marks = self._prepared(self._source(None))
        rendered: list[tuple[str, str]] = []
        for messages in conversations:
            broken = _break_up(marks, messages)
            asked = self._render(compiled, broken.messages[:-1], add_generation_prompt=True)
            whole = self._render(compiled, broken.messages, add_generation_prompt=False)
            rendered += [(asked, broken.at), (whole[len(asked) :], broken.at)]
        tokens = marks.encode_batch(rendered)
        return list(zip(tokens[::2], tokens[1::2], strict=True))

    def _source(self, template: str | None) -> str:
        source = self._template if template is None else template
        if source is None:
            raise EngineError("This base model has no chat template: use /v1/completions.", param="messages")
        return source

    def _render(
        self, compiled: Template, messages: Sequence[Mapping[str, str]], *, add_generation_prompt: bool
    ) -> str:
        try:
            return compiled.render(
                messages=messages, add_generation_prompt=add_generation_prompt, **self._special
            )
        except TemplateError:
            raise EngineError(
                "The model's chat template refuses these messages: put system first, then user and "
                "assistant in turn.",
                param="messages",
            ) from None

    def _prepare(self, source: str) -> tuple[Template, Marks]:
        return _compile(source), Marks(self._tokenizer_json, source)


def _break_up(marks: Marks, messages: Sequence[Mapping[str, str]]) -> Broken:
    try:
        return marks.break_up(messages)
    except ValueError:
        raise EngineError(
            "The messages have every character of private use there is: leave some out.", param="messages"
        ) from None


def _compile(source: str) -> Template:
    """The template as transformers compiles it, in a sandbox: templates come with models (CVE-2024-34359)."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
    )

    def refuse(message: str) -> NoReturn:
        raise TemplateError(message)

    def as_json(value: Any, indent: int | None = None) -> str:
        return json.dumps(value, ensure_ascii=False, indent=indent)

    environment.globals["raise_exception"] = refuse
    environment.filters["tojson"] = as_json
    return environment.from_string(source)
