"""The quality report, counted while a dataset's examples stream past."""

from __future__ import annotations

import bisect
import heapq
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from webapp.datasets.quality.remarks import remarks
from webapp.findings.models import FindingState

VERSION = 1
SIDES = ("train", "heldout")
# The last length of each bar in tokens; one more bar holds what is longer. 1024 is where training cuts.
EDGES = (64, 128, 192, 256, 320, 384, 512, 640, 768, 1024, 1536, 2048)
TRAINING_TOKENS = 1024  # of an example, prompt and all: TrainingSpec.max_length, as presets have it
LARGEST = 10  # documents that are named
LOW_CONFIDENCE = 0.8  # of a scan that was read: below it every line or two holds a wrong word
LISTED = 20  # documents that were read badly


class QualityBuilder:
    """Counts examples and documents of one dataset; its memory does not grow with the examples.

    `max_tokens` is what the dataset asked of a passage; `training_tokens` is where training cuts an example.
    """

    def __init__(self, *, max_tokens: int, training_tokens: int = TRAINING_TOKENS) -> None:
        self._max_tokens = max_tokens
        self._training_tokens = training_tokens
        self._examples: dict[tuple[str, str], int] = Counter()
        self._tokens: dict[tuple[str, str], int] = Counter()
        self._bars: dict[str, list[int]] = defaultdict(lambda: [0] * (len(EDGES) + 1))
        self._lengths: Counter[int] = Counter()
        self._documents: list[tuple[int, str, str, int]] = []  # examples, name, id, words
        self._notes = 0
        self._ocr: list[tuple[float, str, str]] = []

    def add_example(self, *, kind: str, split: str, prompt_tokens: int, completion_tokens: int) -> None:
        """One example of the dataset; tokens as the base model counts them."""
        length = prompt_tokens + completion_tokens
        self._examples[kind, split] += 1
        self._tokens[kind, split] += length
        self._bars[split][bisect.bisect_left(EDGES, length)] += 1
        self._lengths[length] += 1

    def add_document(
        self,
        *,
        name: str,
        document_id: str,
        examples: int,
        words: int,
        footnote_words: int = 0,
        ocr_confidence: float | None = None,
    ) -> None:
        """One document, after its examples: how many it gave, how many words it holds and how many of them
        stand in footnotes that were left out; `ocr_confidence`, 0 to 1, where it was read from a scan."""
        self._documents.append((examples, name, document_id, words))
        self._notes += footnote_words
        if ocr_confidence is not None and ocr_confidence < LOW_CONFIDENCE:
            self._ocr.append((ocr_confidence, name, document_id))

    def result(
        self, *, findings: Sequence[Mapping[str, Any]] = (), duplicates: int = 0, near_duplicates: int = 0
    ) -> dict[str, Any]:
        """The report as JSON. `findings` are kept as given; `duplicates` counts examples left out."""
        total = sum(self._examples.values())
        report: dict[str, Any] = {
            "version": VERSION,
            "documents": len(self._documents),
            "empty_documents": sum(not examples for examples, *_ in self._documents),
            "words": sum(words for *_, words in self._documents),
            "footnote_words": self._notes,
            "kinds": self._kinds(),
            "totals": {side: self._of(side) for side in SIDES},
            "lengths": self._told_lengths(total),
            "shares": self._shares(),
            "duplicates": duplicates,
            "near_duplicates": near_duplicates,
            "findings": [dict(finding) for finding in findings],
            "findings_by_kind": _by_kind(findings),
            "ocr": [
                {"document": document_id, "name": name, "confidence": round(confidence, 3)}
                for confidence, name, document_id in sorted(self._ocr)[:LISTED]
            ],
            "ocr_low": len(self._ocr),
        }
        report["remarks"] = remarks(report)
        return report

    def _kinds(self) -> list[dict[str, Any]]:
        """A row for each kind, that with most examples first."""
        rows = [
            {"kind": kind, **{side: self._of(side, kind) for side in SIDES}}
            for kind in {kind for kind, _ in self._examples}
        ]
        return sorted(
            rows, key=lambda row: (-row["train"]["examples"] - row["heldout"]["examples"], row["kind"])
        )

    def _of(self, side: str, kind: str | None = None) -> dict[str, int]:
        return {
            "examples": sum(n for key, n in self._examples.items() if _is(key, side, kind)),
            "tokens": sum(n for key, n in self._tokens.items() if _is(key, side, kind)),
        }

    def _told_lengths(self, total: int) -> dict[str, Any]:
        limit, tokens = self._training_tokens, sum(self._tokens.values())
        return {
            "max_tokens": self._max_tokens,
            "limit": limit,
            "over": sum(n for length, n in self._lengths.items() if length > limit),
            "mean": round(tokens / total, 1) if total else 0.0,
            "median": _median(self._lengths),
            "longest": max(self._lengths, default=0),
            "bars": [
                {"first": first + 1, "last": last, **{side: self._bars[side][at] for side in SIDES}}
                for at, (first, last) in enumerate(zip((0, *EDGES), (*EDGES, None), strict=True))
            ],
        }

    def _shares(self) -> list[dict[str, Any]]:
        """The documents with most examples, each with its share of all of them."""
        total = sum(examples for examples, *_ in self._documents)
        largest = heapq.nsmallest(LARGEST, self._documents, key=lambda row: (-row[0], row[1], row[2]))
        return [
            {
                "document": document_id,
                "name": name,
                "examples": examples,
                "words": words,
                "share": round(examples / total, 4) if total else 0.0,
            }
            for examples, name, document_id, words in largest
        ]


def _is(key: tuple[str, str], side: str, kind: str | None) -> bool:
    return key[1] == side and kind in (None, key[0])


def _median(counts: Mapping[int, int]) -> int:
    """The length of the middle one, the shorter of two in the middle; 0 of none."""
    half, seen = (sum(counts.values()) + 1) // 2, 0
    for length, n in sorted(counts.items()):
        seen += n
        if seen >= half:
            return length
    return 0


def _by_kind(findings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """How many findings of each kind were open and settled, in the order in which they came."""
    rows: dict[str, dict[str, Any]] = {}
    for finding in findings:
        row = rows.setdefault(finding["kind"], {"kind": finding["kind"], "open": 0, "settled": 0})
        row["open" if finding["state"] == FindingState.OPEN else "settled"] += finding["count"]
    return list(rows.values())
