"""What a paragraph says in the note form of a lawyer's outline, by computation: no model reads the text.

Every sentence is a point: its first weighty words, without quotations and small words, and in brackets what a
writer could not know: the authorities it cites, and the dates and amounts that did not fit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from webapp.citations import NEUTRAL, Citation, Kind, restyle, whole_spans
from webapp.datasets.chunks import Part
from webapp.datasets.sentences import sentence_starts

FIRST_WORDS, WORDS = 12, 8  # of a paragraph's first point and of the others
POINTS = 5  # of one paragraph
FACTS = 6  # of one point

_SMALL = frozenset(
    re.findall(
        r"\w+",
        """
        a an the this that these those such its his her their our your my it he she they we you i which
        who whom whose there here is are was were be been being am has have had do does did will would
        shall should may might can could must so then thus also very quite rather indeed and or but nor
        for as at by in on to with from into upon than too if where when while because although though
        """,
    )
)
_QUOTED = re.compile(r"“[^“”]*”|\"[^\"]*\"")
_NUMBER = re.compile(r"\s*\(?(?:\d{1,3}|[a-z]|[ivx]+)[.)]\s+", re.IGNORECASE)
_MONTH = (
    r"(?:January|February|March|April|May|June|July|August|September|October|November|December|"
    r"Jan\.|Feb\.|Mar\.|Apr\.|Aug\.|Sept?\.|Oct\.|Nov\.|Dec\.)"
)
_FACT = (
    rf"\b{_MONTH} \d{{1,2}}, \d{{4}}|\b\d{{1,2}} {_MONTH} \d{{4}}|\b{_MONTH} \d{{4}}"
    r"|\b\d{1,2}/\d{1,2}/\d{2,4}\b"
    r"|[$£€] ?\d[\d,]*(?:\.\d+)?(?: (?:thousand|million|billion))?"
    r"|\b\d[\d,.]*(?:%| percent\b| per cent\b)"
)
_WORDS = re.compile(rf"(?P<fact>{_FACT})|[\w$£€%][\w$£€%.,'’\-/]*")
# What stands behind a case's page and still is its address: other pages, court and year.
_ADDRESS = re.compile(r"(?:, \d+(?:[-‑–]\d+)?(?:,? n\. ?\d+)?)*(?: \([^()]{0,40}\d{4}\))?")
# What eyecite leaves of a case's name: "Matsushita Elec. " before "Industrial Co. v.", "In re ".
_ABBREVIATED = re.compile(r"(?:(?:In re|Ex parte|Matter of) )?(?:[A-Z][\w'’&-]*\.? )*$")
_LEAD = re.compile(r"(?:(?:[a-z,]+|See|But|Cf\.|Accord|In(?! re)) )+")
_SECTION = re.compile(r" ?§* ?(\d[\w.()\-]*)")
_RULE = re.compile(r" (\d[\w.()]*)")


def points(part: Part) -> list[str]:
    """`part` as the points of an outline, at most `POINTS`; none where it holds nothing to note."""
    text = part.text
    said: list[str] = []
    for start, end in pairwise([0, *sentence_starts(text), len(text)]):
        note, facts = _note(part, start, end, FIRST_WORDS if not said else WORDS)
        known = list(dict.fromkeys([*_authorities(part, start, end), *facts]))[:FACTS]
        if not note and not known:
            continue
        given = f"({'; '.join(known)})" if known else ""
        if note or not said:
            said.append(f"{note} {given}".strip())
        else:  # a sentence that only cites belongs to the one it supports
            said[-1] += f" {given}"
        if len(said) == POINTS:
            break
    return said


def _note(part: Part, start: int, end: int, most: int) -> tuple[str, list[str]]:
    """The first `most` weighty words of the sentence at `start`, and the facts that it names after them.

    A single word ("ordered") is no note.
    """
    pieces, at = [], start
    for opens, closes in [*_names(part, start, end), (end, end)]:
        pieces.append(part.text[at : max(at, opens)])
        at = max(at, closes)
    sentence = _QUOTED.sub(" ", " ".join(pieces))
    number = _NUMBER.match(sentence) if start == 0 else None
    kept: list[str] = []
    facts: list[str] = []
    for match in _WORDS.finditer(sentence, number.end() if number else 0):
        word = match[0] if match["fact"] else match[0].strip(".,'’-/")
        if len(kept) == most:
            facts += [word] if match["fact"] else []
        elif word and word.casefold() not in _SMALL:
            kept.append(word)
    return " ".join(kept if len(kept) > 1 else []), facts


def _names(part: Part, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The bounds of the citations within the sentence from `start` to `end`, names of cases included."""
    for opens, closes in whole_spans(part.text, part.citations):
        if start <= opens < end:
            yield _name_start(part.text, start, opens), min(closes, end)


def _name_start(text: str, sentence: int, at: int) -> int:
    """Where the name begins whose end stands at `at`, in the sentence that begins at `sentence`."""
    if text[at : at + 1].isdigit():
        return at
    name = _ABBREVIATED.search(text, sentence, at)
    return name.start() if name else at


def _authorities(part: Part, start: int, end: int) -> Iterator[str]:
    for citation in part.citations:
        if not start <= citation.start < end:
            continue
        if citation.kind in (Kind.CASE, Kind.SHORT):
            yield _case(part, citation, start)
        elif citation.kind == Kind.CODE and (section := _SECTION.match(part.text, citation.end)):
            yield f"{NEUTRAL.print(citation)} sec {section[1].rstrip('.')}"
        elif citation.kind == Kind.RULE and (rule := _RULE.match(part.text, citation.end)):
            yield f"{NEUTRAL.print(citation)} {rule[1].rstrip('.')}"


def _case(part: Part, case: Citation, sentence: int) -> str:
    """A case's name and address in neutral form."""
    text = part.text
    start = _name_start(text, sentence, max(case.whole[0], case.start - 120, sentence))
    lead = _LEAD.match(text, start, case.start)
    start = lead.end() if lead else start
    address = _ADDRESS.match(text, case.end)
    end = address.end() if address else case.end
    inside = [c.moved(-start) for c in part.citations if start <= c.start and c.end <= end]
    return " ".join(restyle(text[start:end], inside, NEUTRAL).split()).strip(",; ")
