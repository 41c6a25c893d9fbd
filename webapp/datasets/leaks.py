"""What a model would be measured on after it has learnt it: duplicates, and how far they may go.

Contracts and briefs repeat their closing lines and boilerplate word for word. So an example that says the
same as one before is left out and counted (`Sieve`): once is enough to learn from, and a held-out copy of
what is learnt measures memory. A dataset is refused (`find_leaks`) when something still stands on both sides:
a document, a group of near-duplicates, or the same words. Whole documents that are almost the same are
grouped by their signatures before the split; single passages that are almost the same, in documents that
differ, are not looked for.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from webapp.datasets.examples.imported import CHAT, PAIR
from webapp.datasets.examples.new_example import NewExample
from webapp.datasets.split import Side

# Where more than this share of what was held out is a copy of what is learnt, the documents are no two sets.
MOST_COPIES = 0.3
_SHOWN = 60  # characters of an example in a sentence


def fingerprint(example: NewExample) -> bytes:
    """16 bytes, the same for examples that teach the same words.

    Those made of running text are told by their completion, whatever was asked; case, spacing and punctuation
    don't count. Ready-made pairs may answer many questions alike ("Privileged."), so all of them counts.
    """
    parts = [example.completion]
    if example.kind in (PAIR, CHAT):
        parts += [example.prompt, json.dumps(example.context, sort_keys=True)]
    words = "\0".join(" ".join(re.findall(r"\w+", part.casefold())) or part for part in parts)
    return hashlib.blake2b(words.encode(errors="surrogatepass"), digest_size=16).digest()


@dataclass
class Sieve:
    """Lets every example pass once. Keeps 16 bytes of each, so that a dataset can stream through it.

    `removed` counts the duplicates by side; `copies` the held-out ones among them that copied what is learnt.
    """

    removed: dict[Side, int] = field(default_factory=lambda: {"train": 0, "heldout": 0})
    copies: int = 0
    kept: dict[Side, int] = field(default_factory=lambda: {"train": 0, "heldout": 0})
    _seen: dict[bytes, Side] = field(default_factory=dict)

    def keep(self, side: Side, example: NewExample) -> bool:
        """Whether `example` is new. Raises ValueError for a training example after a held-out one."""
        if side == "train" and (self.kept["heldout"] or self.removed["heldout"]):
            raise ValueError("Training examples come first, so that held-out copies of them are seen.")
        told = fingerprint(example)
        known = self._seen.get(told)
        if known is None:
            self._seen[told] = side
            self.kept[side] += 1
            return True
        self.removed[side] += 1
        self.copies += side == "heldout" and known == "train"
        return False

    @property
    def problem(self) -> str:
        """Why a dataset of what passed is refused, in a sentence; empty when it may be used."""
        heldout = self.kept["heldout"] + self.removed["heldout"]
        if self.copies <= MOST_COPIES * heldout:
            return ""
        return (
            f"{self.copies:,} of the {heldout:,} held-out examples say the same as training examples: choose "
            "documents that share less of their text, or leave out the copies."
        )


def dedupe(
    train: Iterable[NewExample], heldout: Iterable[NewExample]
) -> tuple[list[NewExample], list[NewExample], Sieve]:
    """Both sides without their duplicates, and the sieve that counted them."""
    sieve = Sieve()
    kept_train = [example for example in train if sieve.keep("train", example)]
    return kept_train, [example for example in heldout if sieve.keep("heldout", example)], sieve


class Placed(NamedTuple):
    """An example, the document that it is from and that document's near-duplicates, if it has any."""

    example: NewExample
    document: Hashable = None
    group: Hashable = None


@dataclass(frozen=True)
class Leaks:
    """What stands on both sides: `documents` and `groups` by their ids, how many held-out `examples`."""

    documents: frozenset[Hashable] = frozenset()
    groups: frozenset[Hashable] = frozenset()
    examples: int = 0
    first: str = ""  # the completion of the first such example

    def __bool__(self) -> bool:
        return bool(self.documents or self.groups or self.examples)

    @property
    def problem(self) -> str:
        """One sentence for the person; empty when nothing leaks."""
        if self.documents:
            many = _many(len(self.documents), "document")
            return f"{many} on both sides of the split: hold out whole documents."
        if self.groups:
            sets = len(self.groups)
            many = "1 set" if sets == 1 else f"{sets:,} sets"
            stands = "stands" if sets == 1 else "stand"
            return (
                f"{many} of near-duplicate documents {stands} on both sides of the split: "
                "keep each set on one side."
            )
        if self.examples:
            start = " ".join(self.first.split())
            shown = start if len(start) <= _SHOWN else f"{start[:_SHOWN].rstrip()}…"
            many, them = _many(self.examples, "example"), "it" if self.examples == 1 else "them"
            return f"{many} on both sides of the split, such as “{shown}”: leave {them} out on one side."
        return ""


def _many(count: int, what: str) -> str:
    return f"1 {what} stands" if count == 1 else f"{count:,} {what}s stand"


def find_leaks(train: Iterable[Placed], heldout: Iterable[Placed]) -> Leaks:
    """What stands on both sides of a split. Reads each side once and keeps 16 bytes of a training example."""
    documents: set[Hashable] = set()
    groups: set[Hashable] = set()
    prints: set[bytes] = set()
    for placed in train:
        documents.add(placed.document)
        groups.add(placed.group)
        prints.add(fingerprint(placed.example))
    documents.discard(None)
    groups.discard(None)
    both_documents: set[Hashable] = set()
    both_groups: set[Hashable] = set()
    examples, first = 0, ""
    for placed in heldout:
        if placed.document in documents:
            both_documents.add(placed.document)
        if placed.group in groups:
            both_groups.add(placed.group)
        if fingerprint(placed.example) in prints:
            examples += 1
            first = first or placed.example.completion
    return Leaks(frozenset(both_documents), frozenset(both_groups), examples, first)
