"""The quality report: every number is one that was put in, every remark has its threshold."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.datasets.quality import QualityBuilder

FINDINGS = [
    {"document": "a", "kind": "ssn", "state": "open", "count": 2, "decided_by": None},
    {"document": "a", "kind": "ssn", "state": "redacted", "count": 3, "decided_by": "bob@ashworth.example"},
    {"document": "b", "kind": "email", "state": "ignored", "count": 1, "decided_by": "bob@ashworth.example"},
]


def report(
    *,
    documents: int = 6,
    each: int = 20,
    tokens: tuple[int, int] = (200, 200),
    kinds: tuple[str, ...] = ("cite", "continue"),
    held_out: int = 1,
    largest: int | None = None,
    **result: Any,
) -> dict[str, Any]:
    """A report on `documents` documents with `each` examples, the first `held_out` of them held out."""
    builder = QualityBuilder(max_tokens=300)
    for number in range(documents):
        examples = largest if largest is not None and number == documents - 1 else each
        for place in range(examples):
            builder.add_example(
                kind=kinds[place % len(kinds)],
                split="heldout" if number < held_out else "train",
                prompt_tokens=tokens[0],
                completion_tokens=tokens[1],
            )
        builder.add_document(
            name=f"brief-{number}.txt", document_id=str(number), examples=examples, words=1000
        )
    return builder.result(**result)


def codes(told: dict[str, Any]) -> dict[str, str]:
    return {remark["code"]: remark["level"] for remark in told["remarks"]}


def test_it_counts_by_kind_and_side() -> None:
    told = report()
    assert (told["documents"], told["words"], told["empty_documents"]) == (6, 6000, 0)
    assert told["totals"] == {
        "train": {"examples": 100, "tokens": 40_000},
        "heldout": {"examples": 20, "tokens": 8_000},
    }
    half = {
        "train": {"examples": 50, "tokens": 20_000},
        "heldout": {"examples": 10, "tokens": 4_000},
    }
    assert told["kinds"] == [{"kind": "cite", **half}, {"kind": "continue", **half}]
    assert told["shares"][0] == {
        "document": "0",
        "name": "brief-0.txt",
        "examples": 20,
        "words": 1000,
        "share": 0.1667,
    }


def test_a_sound_dataset_has_only_good_remarks() -> None:
    told = report(findings=FINDINGS[1:], duplicates=4)
    assert codes(told) == dict.fromkeys(
        ["enough", "fits", "spread", "duplicates", "findings_settled"], "good"
    )
    assert told["findings"] == FINDINGS[1:]
    assert told["duplicates"] == 4


@pytest.mark.parametrize(
    ("given", "code", "level"),
    [
        ({"documents": 3, "each": 12}, "little", "warning"),
        ({"tokens": (10, 10)}, "little", "warning"),
        ({"documents": 4, "each": 40}, "few_documents", "notice"),
        ({"held_out": 0}, "held_out", "warning"),
        ({"tokens": (1000, 25)}, "long", "warning"),
        ({"largest": 200}, "one_document", "warning"),
        ({"kinds": ("cite",)}, "one_kind", "notice"),
        ({"kinds": ("pair",)}, "one_kind", "notice"),
        ({"largest": 0}, "empty", "notice"),
        ({"near_duplicates": 2}, "near_duplicates", "notice"),
        ({"findings": FINDINGS}, "findings_open", "warning"),
    ],
)
def test_what_falls_short_is_said_with_what_to_do(given: dict[str, Any], code: str, level: str) -> None:
    told = report(**given)
    assert codes(told)[code] == level
    remark = next(remark for remark in told["remarks"] if remark["code"] == code)
    assert remark["says"].endswith(".") and remark["do"].endswith(".")
    assert code not in codes(report())


def test_pressing_remarks_come_first() -> None:
    levels = [remark["level"] for remark in report(documents=3, each=5, tokens=(2000, 1))["remarks"]]
    assert levels == sorted(levels, key=["warning", "notice", "good"].index)
    assert levels[0] == "warning"


def test_at_the_limit_an_example_is_not_cut() -> None:
    assert report(tokens=(1000, 24))["lengths"]["over"] == 0
    assert report(tokens=(1000, 25))["lengths"]["over"] == 120


def test_lengths_are_told_in_bars() -> None:
    builder = QualityBuilder(max_tokens=300)
    for split, length in (("train", 64), ("train", 65), ("heldout", 65), ("train", 5000)):
        builder.add_example(kind="cite", split=split, prompt_tokens=length - 1, completion_tokens=1)
    lengths = builder.result()["lengths"]
    bars = {(bar["first"], bar["last"]): (bar["train"], bar["heldout"]) for bar in lengths["bars"]}
    assert {key: bar for key, bar in bars.items() if bar != (0, 0)} == {
        (1, 64): (1, 0),
        (65, 128): (1, 1),
        (2049, None): (1, 0),
    }
    assert (lengths["median"], lengths["longest"], lengths["mean"]) == (65, 5000, 1298.5)


def test_findings_are_counted_by_kind_and_kept_as_given() -> None:
    told = report(findings=FINDINGS)
    assert told["findings"] == FINDINGS
    assert told["findings_by_kind"] == [
        {"kind": "ssn", "open": 2, "settled": 3},
        {"kind": "email", "open": 0, "settled": 1},
    ]


def test_scans_that_were_hard_to_read_and_footnotes_left_out_are_told() -> None:
    builder = QualityBuilder(max_tokens=300)
    builder.add_document(name="scan.pdf", document_id="1", examples=1, words=900, ocr_confidence=0.62)
    builder.add_document(name="clear.pdf", document_id="2", examples=1, words=900, ocr_confidence=0.97)
    builder.add_document(name="brief.docx", document_id="3", examples=1, words=900, footnote_words=120)
    told = builder.result()
    assert told["ocr"] == [{"document": "1", "name": "scan.pdf", "confidence": 0.62}]
    assert told["footnote_words"] == 120
    assert {"ocr", "footnotes"} <= set(codes(told))


def test_one_thing_is_said_in_the_singular() -> None:
    says = [remark["says"] for remark in report(documents=1, each=1, held_out=1, duplicates=1)["remarks"]]
    assert any("Only 1 example is held out" in sentence for sentence in says)
    assert any("1 repeated example was left out" in sentence for sentence in says)


def test_nothing_makes_a_report_too() -> None:
    told = QualityBuilder(max_tokens=300).result()
    assert told["totals"]["train"] == {"examples": 0, "tokens": 0}
    assert set(codes(told)) == {"little", "few_documents", "held_out"}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["cite", "draft", "continue", "pair", "chat"]),
            st.sampled_from(["train", "heldout"]),
            st.integers(0, 4000),
            st.integers(0, 4000),
        ),
        max_size=60,
    )
)
def test_every_view_of_the_examples_adds_up(examples: list[tuple[str, str, int, int]]) -> None:
    builder = QualityBuilder(max_tokens=300)
    for kind, split, prompt, completion in examples:
        builder.add_example(kind=kind, split=split, prompt_tokens=prompt, completion_tokens=completion)
    builder.add_document(name="a", document_id="a", examples=len(examples), words=1)
    told = builder.result()
    assert json.loads(json.dumps(told)) == told
    for side in ("train", "heldout"):
        mine = [prompt + completion for _, split, prompt, completion in examples if split == side]
        assert told["totals"][side] == {"examples": len(mine), "tokens": sum(mine)}
        assert sum(row[side]["examples"] for row in told["kinds"]) == len(mine)
        assert sum(row[side]["tokens"] for row in told["kinds"]) == sum(mine)
        assert sum(bar[side] for bar in told["lengths"]["bars"]) == len(mine)
        for bar in told["lengths"]["bars"]:
            last = bar["last"] or float("inf")
            assert bar[side] == sum(bar["first"] <= max(length, 1) <= last for length in mine)
