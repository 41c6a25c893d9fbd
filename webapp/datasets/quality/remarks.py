"""What a quality report says in words: what is too little, too long or one-sided, each with what to do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

FEW_EXAMPLES = 50  # for training; below it an adapter learns the examples rather than the style
FEW_TOKENS = 20_000
FEW_DOCUMENTS = 5
FEW_HELD_OUT = 10  # below it a measured loss is mostly chance
ONE_DOCUMENT = 0.4  # of the examples
ONE_KIND = 0.9

Report = dict[str, Any]
Level = Literal["warning", "notice", "good"]
Remark = tuple[Level, str, str, str]  # level, code, what is the case, what to do


def remarks(report: Report) -> list[dict[str, str]]:
    """`{level, code, says, do}` for everything worth a word, the most pressing first."""
    told = [
        *_amount(report),
        *_held_out(report),
        *_lengths(report),
        *_balance(report),
        *_repeats(report),
        *_findings(report),
        *_reading(report),
    ]
    order = ("warning", "notice", "good")
    ranked = sorted(told, key=lambda remark: order.index(remark[0]))
    return [{"level": level, "code": code, "says": says, "do": do} for level, code, says, do in ranked]


def _amount(report: Report) -> Iterator[Remark]:
    train = report["totals"]["train"]
    if train["examples"] < FEW_EXAMPLES or train["tokens"] < FEW_TOKENS:
        yield (
            "warning",
            "little",
            f"There are {_n(train['examples'], 'training example')} with {train['tokens']:,} tokens: too "
            "little to learn a style well.",
            f"Add documents until there are at least {FEW_EXAMPLES} examples with {FEW_TOKENS:,} tokens.",
        )
    else:
        yield (
            "good",
            "enough",
            f"There are {_n(train['examples'], 'training example')} with {train['tokens']:,} tokens: enough "
            "to learn a style from.",
            "",
        )
    if report["documents"] < FEW_DOCUMENTS:
        yield (
            "notice",
            "few_documents",
            f"All of it comes from {_n(report['documents'], 'document')}, so their subjects may be learned "
            "with the style.",
            f"Add documents on other subjects, until there are at least {FEW_DOCUMENTS}.",
        )
    if report["empty_documents"]:
        yield (
            "notice",
            "empty",
            f"{_n(report['empty_documents'], 'document')} gave no example.",
            "Open them to see what was read: they may be short, or tables and forms rather than prose.",
        )


def _held_out(report: Report) -> Iterator[Remark]:
    held_out = report["totals"]["heldout"]["examples"]
    if held_out < FEW_HELD_OUT:
        yield (
            "warning",
            "held_out",
            f"Only {_n(held_out, 'example', 'is', 'are')} held out to measure with, so the measure will say "
            "little.",
            "Hold out a larger share of the documents, or add documents.",
        )


def _lengths(report: Report) -> Iterator[Remark]:
    lengths = report["lengths"]
    if lengths["over"]:
        yield (
            "warning",
            "long",
            f"{_n(lengths['over'], 'example', 'is', 'are')} longer than the "
            f"{lengths['limit']:,} tokens at which training usually cuts: the ends would not be learned.",
            f"Make the dataset again with passages shorter than {lengths['max_tokens']:,} tokens, or train "
            "with a greater length.",
        )
    elif lengths["longest"]:
        yield (
            "good",
            "fits",
            f"Every example fits into the {lengths['limit']:,} tokens that training takes; the longest has "
            f"{lengths['longest']:,}.",
            "",
        )


def _balance(report: Report) -> Iterator[Remark]:
    total = sum(side["examples"] for side in report["totals"].values())
    if not total:
        return
    largest = report["shares"][0] if report["shares"] else {"share": 0.0}
    if largest["share"] > ONE_DOCUMENT:
        yield (
            "warning",
            "one_document",
            f"“{largest['name']}” gives {largest['share']:.0%} of all examples, so its style outweighs the "
            "rest.",
            "Add other documents of that length, or leave this one out.",
        )
    elif report["documents"] > 1:
        yield (
            "good",
            "spread",
            f"No document outweighs the rest: the largest gives {largest['share']:.0%} of the examples.",
            "",
        )
    first = report["kinds"][0]
    share = (first["train"]["examples"] + first["heldout"]["examples"]) / total
    if share > ONE_KIND:
        yield ("notice", "one_kind", *_one_kind(first["kind"], share))


def _one_kind(kind: str, share: float) -> tuple[str, str]:
    says, do = {
        "cite": (
            "only put citations into the house's form",
            "Add documents with longer passages without citations, to teach how the firm writes as well.",
        ),
        "draft": (
            "write sections from their points",
            "Choose the other kinds too, to teach citations and how a passage goes on.",
        ),
        "continue": (
            "only continue a passage",
            "Add documents that cite cases and statutes, to teach the house's citations as well.",
        ),
    }.get(kind, ("are ready-made pairs", "Add documents, to teach how the firm writes beyond these pairs."))
    return f"{share:.0%} of the examples {says}.", do


def _repeats(report: Report) -> Iterator[Remark]:
    if report["duplicates"]:
        yield (
            "good",
            "duplicates",
            f"{_n(report['duplicates'], 'repeated example', 'was', 'were')} left out, so that nothing is "
            "learned twice.",
            "",
        )
    if report["near_duplicates"]:
        yield (
            "notice",
            "near_duplicates",
            f"{_n(report['near_duplicates'], 'document', 'is', 'are')} nearly the same as another one; such "
            "documents are kept on one side of the split.",
            "Leave drafts out where the final version is here too.",
        )


def _findings(report: Report) -> Iterator[Remark]:
    still_open = sum(row["open"] for row in report["findings_by_kind"])
    settled = sum(row["settled"] for row in report["findings_by_kind"])
    if still_open:
        yield (
            "warning",
            "findings_open",
            f"{_n(still_open, 'finding', 'was', 'were')} still open, so the words were replaced or left out.",
            "Decide on them at the documents, then make the dataset again.",
        )
    elif settled:
        yield (
            "good",
            "findings_settled",
            f"{_all(settled)} in the documents had been decided on.",
            "",
        )


def _reading(report: Report) -> Iterator[Remark]:
    if report["ocr_low"]:
        one = report["ocr_low"] == 1
        yield (
            "warning",
            "ocr",
            f"{_n(report['ocr_low'], 'scanned document', 'was', 'were')} hard to read, so "
            f"{'its' if one else 'their'} text may hold misread words, which would be learned.",
            f"Compare {'it' if one else 'them'} with the pages, or upload a better copy.",
        )
    if report["footnote_words"]:
        yield (
            "notice",
            "footnotes",
            f"Footnotes with {report['footnote_words']:,} words were left out of the passages.",
            "Nothing to do, unless the house's style is mostly in its footnotes.",
        )


def _n(count: int, noun: str, one: str = "", more: str = "") -> str:
    """`1 example is`, `2 examples are`."""
    words = (noun, one) if count == 1 else (f"{noun}s", more)
    return " ".join(filter(None, (f"{count:,}", *words)))


def _all(settled: int) -> str:
    return "The one finding" if settled == 1 else f"All {settled:,} findings"
