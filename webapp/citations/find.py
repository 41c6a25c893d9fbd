"""Where the citations of a text are and what they cite, whatever house style they are printed in.

Case reporters are eyecite's work (Free Law Project); the few marks around them (section signs, codes,
court rules, circuits, "id.") are the patterns below, each of which reads the printed forms and the neutral.
"""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What a citation is; `Citation.parts` says which fields each kind fills."""

    CASE = "case"  # volume, reporter, nominative, page: 539 U.S. 306, 5 U.S. (1 Cranch) 137
    SHORT = "short"  # the same: 539 U.S. at 326
    CODE = "code"  # volume, code: the "42 U.S.C." before a section sign
    SECTION = "section"  # plural ("" or "s"): the sign alone, its number stays in the text
    RULE = "rule"  # rules: the "Fed. R. Civ. P." before a rule's number
    CIRCUIT = "circuit"  # circuit: the "2d Cir." of "(2d Cir. 2011)"
    ID = "id"  # id: the "Id. at" before a page


@dataclass(frozen=True)
class Citation:
    """`text[start:end] == printed`, a citation or the part of one that house styles print differently."""

    kind: Kind
    start: int
    end: int
    printed: str
    parts: dict[str, str]


def find_citations(text: str) -> list[Citation]:
    """Every citation of `text`, in order, none overlapping another. Costs about 5 ms per case citation."""
    found = sorted([*_marks(text), *_cases(text)], key=lambda citation: (citation.start, -citation.end))
    apart: list[Citation] = []
    for citation in found:
        if not apart or citation.start >= apart[-1].end:
            apart.append(citation)
    return apart


_MARKS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    (
        Kind.CODE,
        re.compile(r"\b(?P<volume>\d{1,3}) (?P<code>U\. ?S\. ?C\.|USC|C\. ?F\. ?R\.|CFR)(?= ?(?:§|secs? ))"),
    ),
    (Kind.SECTION, re.compile(r"(?:§(?P<signs>§)?|\bsec(?P<plural>s)?) ?(?=\d)")),
    (
        Kind.RULE,
        re.compile(
            r"\b(?:Fed\. (?:Rule|R\.) (?P<rules>Civ|Crim|App|Evid)\.(?: (?:Proc|P)\.)?"
            r"|FR(?P<initials>CP|CrP|AP|E))(?= \d)"
        ),
    ),
    (
        Kind.CIRCUIT,
        re.compile(
            r"(?<=\()(?:(?P<number>\d{1,2})(?:st|d|nd|rd|th) Cir\.?|CA(?P<initial>\d{1,2}|DC| Fed\.)"
            r"|(?P<name>D\. ?C\.|DC|Fed\.?) Cir\.?)(?= \d{4}\))"
        ),
    ),
    (Kind.ID, re.compile(r"\b(?P<id>[Ii]d)(?:\.,?)? at (?=\d)")),
)

_RULES = {"CP": "Civ", "CrP": "Crim", "AP": "App", "E": "Evid"}


def _marks(text: str) -> Iterator[Citation]:
    for kind, pattern in _MARKS:
        for match in pattern.finditer(text):
            yield Citation(kind, *match.span(), match[0], _PARTS[kind](match))


def _circuit(match: re.Match[str]) -> dict[str, str]:
    name = match["number"] or match["initial"] or match["name"]
    return {"circuit": _squeezed(name)}


_PARTS: dict[Kind, Callable[[re.Match[str]], dict[str, str]]] = {
    Kind.CODE: lambda match: {"volume": match["volume"], "code": _squeezed(match["code"])},
    Kind.SECTION: lambda match: {"plural": "s" if match["signs"] or match["plural"] else ""},
    Kind.RULE: lambda match: {"rules": match["rules"] or _RULES[match["initials"]]},
    Kind.CIRCUIT: _circuit,
    Kind.ID: lambda match: {"id": match["id"]},
}


def _cases(text: str) -> Iterator[Citation]:
    if not re.search(r"\d .*\d", text):
        return
    models, get_citations = _eyecite()
    for found in get_citations(text):
        groups = found.groups
        short = isinstance(found, models.ShortCaseCitation)
        # A page not yet printed, 570 U. S. ___, stays as it is.
        if not isinstance(found, models.CaseCitation) or not groups.get("page") or not groups.get("volume"):
            continue
        start, end = found.span()
        nominative = groups.get("reporter_nominative")
        parts = {
            "volume": groups["volume"],
            "reporter": found.corrected_reporter(),
            "nominative": f" ({groups['volume_nominative']} {nominative})" if nominative else "",
            "page": groups["page"],
        }
        if text[start:end].startswith(parts["volume"]) and text[start:end].endswith(parts["page"]):
            yield Citation(Kind.SHORT if short else Kind.CASE, start, end, text[start:end], parts)


def _squeezed(name: str) -> str:
    return re.sub(r"[ .]", "", name)


@functools.cache
def _eyecite() -> tuple[Any, Callable[[str], list[Any]]]:
    # Imported on first use: the web process starts without the reporters database.
    from eyecite import get_citations, models
    from eyecite.tokenizers import AhocorasickTokenizer

    # eyecite logs the words of citations it doubts; a firm's text must never reach a log.
    logging.getLogger("eyecite").setLevel(logging.CRITICAL + 1)
    tokenizer = AhocorasickTokenizer()
    return models, lambda text: get_citations(text, tokenizer=tokenizer)
