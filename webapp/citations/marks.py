"""The marks around case citations that house styles print differently: section signs, codes, court rules,
courts, "id.", "supra", page ranges. Each pattern reads the printed forms and the neutral one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a citation is; `Citation.parts` says which fields each kind fills."""

    CASE = "case"  # volume, reporter, nominative, page: 539 U.S. 306, 5 U.S. (1 Cranch) 137
    SHORT = "short"  # the same: 539 U.S. at 326
    PIN = "pin"  # first, dash, last: the "-26" of "539 U.S. 306, 325-26"
    CODE = "code"  # volume, code: the "42 U.S.C." before a section sign
    SECTION = "section"  # plural ("" or "s"): the sign alone, its number stays in the text
    PARAGRAPH = "paragraph"  # plural: the same of a paragraph sign
    RULE = "rule"  # rules: the "Fed. R. Civ. P." before a rule's number
    CIRCUIT = "circuit"  # circuit: the "2d Cir." of "(2d Cir. 2011)"
    DISTRICT = "district"  # side, state: the "S.D.N.Y." of "(S.D.N.Y. 2010)"
    ID = "id"  # id: the "Id. at" before a page
    IBID = "ibid"  # capital ("I" or "i"): "Id." or "Ibid." that stands alone
    SUPRA = "supra"  # note (its number or ""): the "supra, at" before a page
    LATIN = "latin"  # first, second: "e.g." or "i.e."


@dataclass(frozen=True)
class Citation:
    """`text[start:end] == printed`, a citation or the part of one that house styles print differently.

    `whole` are the bounds of all that belongs to a case's citation: its name, pages and parentheses.
    """

    kind: Kind
    start: int
    end: int
    printed: str
    parts: dict[str, str]
    whole: tuple[int, int]

    def moved(self, by: int) -> Citation:
        """The same citation in a text that has `by` characters more in front."""
        opens, closes = self.whole
        return Citation(
            self.kind, self.start + by, self.end + by, self.printed, self.parts, (opens + by, closes + by)
        )


# As the Supreme Court abbreviates them within a district court's name; the Bluebook agrees.
_STATES = re.findall(
    r"\S+",
    """
    Ala. Ark. Cal. Colo. Conn. Fla. Ga. Idaho Ill. Ind. Iowa Kan. Ky. La. Me. Md. Mass. Mich. Minn. Miss. Mo.
    Mont. Neb. Nev. N.H. N.J. N.M. N.Y. N.C. N.D. Ohio Okla. Ore. Pa. R.I. S.C. S.D. Tenn. Tex. Utah Vt. Va.
    Wash. W.Va. Wis. Wyo.
    """,
)
_STATE = "|".join(
    re.escape(name).replace(r"\.", r"\.? ?").removesuffix(" ?")
    for name in sorted(_STATES, key=len, reverse=True)
)
_DATE = r"(?:[A-Z][a-z]{2,8}\.? \d{1,2}, )?\d{4}"
_BY_LETTERS = {name.replace(".", ""): name for name in _STATES}

_PATTERNS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    (
        Kind.CODE,
        re.compile(r"\b(?P<volume>\d{1,3}) (?P<code>U\. ?S\. ?C\.|USC|C\. ?F\. ?R\.|CFR)(?= ?(?:§|secs? ))"),
    ),
    (Kind.SECTION, re.compile(r"(?:§(?P<signs>§)?|\bsec(?P<plural>s)?) ?(?=\d)")),
    (Kind.PARAGRAPH, re.compile(r"(?:¶(?P<signs>¶)?|\bpara(?P<plural>s)?) ?(?=\d)")),
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
            rf"|(?P<name>D\. ?C\.|DC|Fed\.?) Cir\.?)(?= {_DATE}\))"
        ),
    ),
    (
        Kind.DISTRICT,
        re.compile(rf"(?<=\()(?P<side>[NSEWMC]\.? ?D)\.? ?(?P<state>{_STATE})(?= {_DATE}\))"),
    ),
    (Kind.ID, re.compile(r"\b(?P<id>[Ii]d)(?:\.,?)? at (?=\d)")),
    (Kind.IBID, re.compile(r"\b(?P<capital>[Ii])(?:d|bid)\.(?=[;)”\"]|\s+[^\sa-z§¶]|\s*$)")),
    (Kind.SUPRA, re.compile(r"\bsupra(?:,? (?:note|n\.) (?P<note>\d+))?,? at (?=\d)")),
    (
        Kind.LATIN,
        re.compile(r"\b(?:(?P<first>[Ee])\. ?g\.|(?P<other>[Ii])\. ?e\.|(?P<neutral>eg|ie)(?=[ ,]))"),
    ),
)

_RULES = {"CP": "Civ", "CrP": "Crim", "AP": "App", "E": "Evid"}


def find_marks(text: str) -> Iterator[Citation]:
    """The marks of `text`; those of one kind in order."""
    for kind, pattern in _PATTERNS:
        for match in pattern.finditer(text):
            yield Citation(kind, *match.span(), match[0], _PARTS[kind](match), match.span())


_RANGE = re.compile(r"(?P<first>\d{1,5})(?P<tail>(?P<dash>[-‑–])(?P<last>\d{1,5}))")
_PAGE = r"\d{1,5}(?:[-‑–]\d{1,5}(?![\w-]))?"
_PINS = re.compile(rf"{_PAGE}(?:, {_PAGE})*")


def find_pins(text: str, at: int) -> Iterator[Citation]:
    """The ranges among the pages that stand at `at`: "325-26, 330"."""
    pages = _PINS.match(text, at)
    for match in _RANGE.finditer(text, at, pages.end()) if pages else ():
        first, last = match["first"], match["last"]
        last = first[: max(0, len(first) - len(last))] + last
        if int(first) < int(last):
            parts = {"first": first, "dash": match["dash"], "last": last}
            yield Citation(Kind.PIN, *match.span("tail"), match["tail"], parts, match.span())


def elided(first: str, last: str) -> str:
    """The last page of a range without the digits that it repeats, two of them kept: 936, 938 -> 38."""
    repeated = 0
    while len(first) == len(last) > repeated + 2 and first[repeated] == last[repeated]:
        repeated += 1
    return last[repeated:]


def letters(name: str) -> str:
    """`N. D. Cal.` -> `NDCal`"""
    return re.sub(r"[ .]", "", name)


def _plural(match: re.Match[str]) -> dict[str, str]:
    return {"plural": "s" if match["signs"] or match["plural"] else ""}


def _latin(match: re.Match[str]) -> dict[str, str]:
    first = match["first"] or match["other"] or match["neutral"][0]
    return {"first": first, "second": "g" if first in "Ee" else "e"}


_PARTS: dict[Kind, Callable[[re.Match[str]], dict[str, str]]] = {
    Kind.CODE: lambda match: {"volume": match["volume"], "code": letters(match["code"])},
    Kind.SECTION: _plural,
    Kind.PARAGRAPH: _plural,
    Kind.RULE: lambda match: {"rules": match["rules"] or _RULES[match["initials"]]},
    Kind.CIRCUIT: lambda match: {"circuit": letters(match["number"] or match["initial"] or match["name"])},
    Kind.DISTRICT: lambda match: {
        "side": letters(match["side"]),
        "state": _BY_LETTERS[letters(match["state"])],
    },
    Kind.ID: lambda match: {"id": match["id"]},
    Kind.IBID: lambda match: {"capital": match["capital"]},
    Kind.SUPRA: lambda match: {"note": match["note"] or ""},
    Kind.LATIN: _latin,
}
