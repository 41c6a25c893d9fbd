"""The style profile of a dataset, counted while its documents stream past."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from webapp.datasets.profile import citations, writing
from webapp.datasets.profile.catalogue import SECTIONS, Feature
from webapp.datasets.profile.shape import Lengths, Openings, Shape
from webapp.datasets.profile.tally import Example, Tally
from webapp.documents.layout import Block

VERSION = 1
SENTENCE_EDGES = (10, 20, 30, 40)  # words: the last of each bucket
PARAGRAPH_EDGES = (50, 100, 150, 250)

_SPACES = ("\n", "\t", "\r", "\u00a0", "\u2009", "\u202f", "\0")


class ProfileBuilder:
    """Counts the forms of house style in blocks. Keeps counts and a few short examples of each form, so its
    memory does not grow with the documents; adding blocks in several calls counts the same as in one."""

    def __init__(self) -> None:
        self._tally = Tally()
        self._shape = Shape(self._tally)

    def add(self, blocks: Iterable[Block]) -> None:
        """Take in blocks as they are trained on: redacted already, for the examples are taken from them."""
        told = [(block.kind, line) for block in blocks if (line := _plain(block.text))]
        text = "\n".join(line for _, line in told)
        at = 0
        for kind, line in told:
            self._shape.block(kind, text, at, at + len(line))
            at += len(line) + 1
        citations.scan(text, self._tally)
        writing.scan(text, self._tally)
        self._tally.settle(text)

    def result(self) -> dict[str, Any]:
        """The profile as JSON: `version`, `words`, and `sections` of `features` of `forms`.

        A form is `{key, label, count, share, examples}`, `share` being of the feature's `total`; the
        commonest stands first. An example is `{before, hit, after}`, together 160 characters at most. Forms
        and features that were not met are left out. A feature of the kind `measure` has `mean` and `median`
        too, in words, and its forms are buckets in their order.
        """
        sections = []
        for section in SECTIONS:
            features = [told for feature in section.features if (told := self._feature(feature))]
            if features:
                sections.append({"key": section.key, "label": section.label, "features": features})
        return {"version": VERSION, "words": self._shape.words, "sections": sections}

    def _feature(self, feature: Feature) -> dict[str, Any] | None:
        shape = self._shape
        match feature.key:
            case "sentence":
                return _measure(feature, shape.sentences, SENTENCE_EDGES)
            case "paragraph":
                return _measure(feature, shape.paragraphs, PARAGRAPH_EDGES)
            case "sentence_opening":
                return _openings(feature, shape.sentence_openings)
            case "paragraph_opening":
                return _openings(feature, shape.paragraph_openings)
        counts = self._tally.counts.get(feature.key)
        if not counts:
            return None
        if feature.key == "gap" and not counts["two"]:
            return None  # most files are read without their spacing: single spaces alone say nothing
        total = shape.words if feature.of == "words" else counts.total()
        order = list(feature.forms)
        ranked = sorted(counts.items(), key=lambda item: (-item[1], order.index(item[0])))
        forms = [
            _form(form, feature.forms[form], n, total, self._tally.examples.get((feature.key, form), ()))
            for form, n in ranked
        ]
        return _told(feature, total, forms)


def _plain(text: str) -> str:
    """`text` on one line, with the one kind of space that the patterns expect. A nul is in no JSON column."""
    for space in _SPACES:
        text = text.replace(space, " ")
    return text.strip()


def _told(feature: Feature, total: int, forms: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "key": feature.key,
        "label": feature.label,
        "kind": feature.kind,
        "verb": feature.verb,
        "of": feature.of,
        "total": total,
        "forms": forms,
    }


def _form(key: str, label: str, count: int, total: int, examples: Sequence[Example] = ()) -> dict[str, Any]:
    share = round(count / total, 6) if total else 0.0
    return {"key": key, "label": label, "count": count, "share": share, "examples": list(examples)}


def _measure(feature: Feature, lengths: Lengths, edges: Sequence[int]) -> dict[str, Any] | None:
    if not lengths.total:
        return None
    forms = []
    for first, last in zip((0, *edges), (*edges, None), strict=True):
        n = sum(n for words, n in lengths.counts.items() if words > first and (last is None or words <= last))
        label = f"over {first} words" if last is None else f"{first + 1} to {last} words"
        forms.append(_form(f"{first + 1}-{last or ''}", label, n, lengths.total))
    return _told(feature, lengths.total, forms) | {"mean": round(lengths.mean, 1), "median": lengths.median}


def _openings(feature: Feature, openings: Openings) -> dict[str, Any] | None:
    commonest = openings.commonest()
    if not commonest:
        return None
    forms = [_form(opening, opening, n, openings.total) for opening, n in commonest]
    return _told(feature, openings.total, forms)
