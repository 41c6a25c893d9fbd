"""Answers held to JSON, or to a JSON Schema: llguidance says which tokens may come next."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from llguidance import LLMatcher, LLParserLimits, LLTokenizer
from numpy.typing import NDArray

from workers.serving.errors import EngineError

ANY_OBJECT: dict[str, Any] = {"type": "object"}

# Blanks are bounded: a model that may write as many as it likes sometimes writes nothing else. What a schema
# says of its own compiling is overruled: a keyword that would be left out must be refused.
_OPTIONS: Any = {
    "whitespace_flexible": True,
    "whitespace_pattern": r"[\x20\x0A]{0,16}",
    "item_separator": ",",
    "key_separator": ":",
    "coerce_one_of": False,
    "lenient": False,
}
_MAX_SAID = 200  # characters of the library's own words


class Grammar:
    """What one answer may still become."""

    def __init__(self, matcher: LLMatcher) -> None:
        self._matcher = matcher

    def change(self, logits: NDArray[np.float32]) -> bool:
        """Leave only tokens that may come next, in place, `[vocabulary]`. False once the schema has become
        more than can be computed within the library's limits."""
        mask = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        allowed = np.unpackbits(mask, count=min(len(logits), 8 * len(mask)), bitorder="little")
        logits[: len(allowed)][allowed == 0] = -np.inf
        logits[len(allowed) :] = -np.inf
        return not self._matcher.is_error()

    def copy(self) -> Grammar:
        """Of another answer, which goes its own way from here."""
        return Grammar(self._matcher.deep_copy())

    def complete_with(self, token: int) -> bool:
        """Take the answer's next token, one that `change` left and none that ends it. True once nothing may
        follow. What can't be computed here is told by the next `change`."""
        return self._matcher.consume_token(token) and self._matcher.is_stopped()


class GrammarCompiler:
    """Makes grammars for one tokenizer, which is read when the first is wanted: it takes a second."""

    def __init__(self, tokenizer: Path, vocabulary: int, stop_tokens: Iterable[int]) -> None:
        self._path, self._vocabulary, self._stop_tokens = tokenizer, vocabulary, sorted(stop_tokens)
        self._limits = LLParserLimits(verbose_errors=False)
        self._lock = threading.Lock()
        self._tokenizer: LLTokenizer | None = None

    def compile(self, schema: dict[str, Any]) -> Grammar:
        """The grammar of JSON that `schema` allows. Raises EngineError (400) for one that can't be held to.

        Takes up to a second for a very large one; to be called outside of the event loop.
        """
        grammar = LLMatcher.grammar_from_json_schema(json.dumps(schema), overrides=_OPTIONS)
        matcher = LLMatcher(self._tokens(), grammar, log_level=0, limits=self._limits)
        if matcher.is_error():
            raise EngineError(
                "The parameter “response_format” has a schema that answers can't be held to: "
                f"{_first_line(matcher.get_error())}.",
                param="response_format",
                code="invalid_json_schema",
            )
        return Grammar(matcher)

    def _tokens(self) -> LLTokenizer:
        with self._lock:
            if self._tokenizer is None:
                self._tokenizer = LLTokenizer(
                    str(self._path),
                    n_vocab=self._vocabulary,
                    eos_token=self._stop_tokens,
                    slices=LLTokenizer.json_slices(),
                )
            return self._tokenizer


def _first_line(text: str) -> str:
    return text.partition("\n")[0][:_MAX_SAID].rstrip(" .:")
