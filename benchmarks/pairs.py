"""Instruction pairs as the product makes them of documents that ship with it: the same on any machine."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, count, islice
from pathlib import Path

from benchmarks.briefs import document_text
from benchmarks.product import ROOT
from webapp.citations import COURT, to_house_form
from webapp.datasets.examples import build_examples
from webapp.documents.layout import Layout
from workers.tokens import TokenCounter

FIRMS = ROOT / "webapp" / "demo" / "firms"
HELD_OUT = ("07-", "08-")  # no passage of theirs is trained on
MAX_TOKENS = 128  # of a passage: an example holds it twice, with a template around, 210 tokens on average


@dataclass(frozen=True)
class Pair:
    """A line of a dataset file."""

    split: str  # train or heldout
    prompt: str
    completion: str


def pairs(
    base: Path,
    *,
    train: int,
    heldout: int,
    kinds: Sequence[str] = ("cite",),
    max_tokens: int = MAX_TOKENS,
) -> list[Pair]:
    """So many pairs from the demo firms' documents, all in one house's form, shuffled the same each time.

    Where they are not enough to train on, briefs that nobody wrote fill up. `base` holds a prepared base
    model, whose tokeniser measures the passages; `kinds` are those of webapp.datasets.examples.
    """
    counter = TokenCounter(base)

    def made(title: str, text: str, split: str) -> list[Pair]:
        blocks = Layout.of_text(to_house_form(text, COURT)).blocks
        found = build_examples(
            blocks, title=title, kinds=kinds, max_tokens=max_tokens, count_tokens=counter.count
        )
        return [Pair(split, example.prompt, example.completion) for example in found]

    of: dict[str, list[Pair]] = {"train": [], "heldout": []}
    for path in sorted(path for path in FIRMS.glob("*/*") if path.suffix in (".txt", ".md")):
        split = "heldout" if path.name.startswith(HELD_OUT) else "train"
        of[split] += made(path.stem, path.read_text("utf-8"), split)
    for side in of.values():
        random.Random(0).shuffle(side)
    briefs = (pair for number in count() for pair in made(f"brief-{number}", document_text(number), "train"))
    learnt = list(islice(chain(of["train"], briefs), train))
    assert len(of["heldout"]) >= heldout, f"the demo documents hold out {len(of['heldout'])} pairs"
    return [*learnt, *of["heldout"][:heldout]]


def write(path: Path, lines: Iterable[Pair]) -> Path:
    path.write_text("".join(json.dumps(asdict(line)) + "\n" for line in lines), "utf-8")
    return path
