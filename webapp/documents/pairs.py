"""Ready-made training data: pairs and chats, or a table whose columns a person still has to name.

Standard library only: the reading child, which knows nothing of Django, makes these too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from webapp.documents.layout import Block, BlockKind, Layout


@dataclass(frozen=True)
class Pair:
    """Asked `prompt`, after what `context` says was said before, the house answers `completion`.

    `context` holds chat messages, `{"role": "system" | "user" | "assistant", "content": …}`. `split` and
    `kind` are what an exported dataset said of the pair, `source` names the document that it was made from;
    all three are empty for files from elsewhere.
    """

    prompt: str
    completion: str
    context: tuple[dict[str, str], ...] = ()
    split: str = ""
    kind: str = ""
    source: str = ""

    @property
    def texts(self) -> list[str]:
        """What the context's messages say, the prompt, the completion."""
        return [*(message["content"] for message in self.context), self.prompt, self.completion]

    def saying(self, texts: Sequence[str]) -> Pair:
        """The same pair with other `texts`."""
        *before, prompt, completion = texts
        context = tuple(
            {**message, "content": text} for message, text in zip(self.context, before, strict=True)
        )
        return replace(self, prompt=prompt, completion=completion, context=context)

    @classmethod
    def of(cls, kept: dict[str, Any]) -> Pair:
        """From what `asdict` made of it."""
        return cls(**{**kept, "context": tuple(kept["context"])})


@dataclass(frozen=True)
class Table:
    """A spreadsheet's first sheet: the names of its columns, and its rows, each as long as `columns`."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def to_json(self) -> bytes:
        return json.dumps(asdict(self), ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Table:
        return cls.of(json.loads(data))

    @classmethod
    def of(cls, kept: dict[str, Any]) -> Table:
        """From what `asdict` made of it."""
        return cls(tuple(kept["columns"]), tuple(tuple(row) for row in kept["rows"]))

    def pairs(self, *, prompt: str, completion: str) -> list[Pair]:
        """A pair of every row that has words in both columns."""
        asked, answered = self.columns.index(prompt), self.columns.index(completion)
        return [
            Pair(row[asked].strip(), row[answered].strip())
            for row in self.rows
            if row[asked].strip() and row[answered].strip()
        ]


def layout_of(pairs: Iterable[Pair]) -> Layout:
    """All that the pairs say as blocks, so that it can be looked through as running text is: what was said
    before, the prompt and the completion of each pair, in that order."""
    return Layout(tuple(Block(BlockKind.PARAGRAPH, text) for pair in pairs for text in pair.texts))


def pairs_to_json(pairs: Iterable[Pair]) -> bytes:
    return json.dumps([asdict(pair) for pair in pairs], ensure_ascii=False).encode()


def pairs_from_json(data: bytes) -> list[Pair]:
    return [Pair.of(kept) for kept in json.loads(data)]
