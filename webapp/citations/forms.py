"""Print the citations of a text in a given form: the neutral one, the Supreme Court's, or the Bluebook's.

The neutral form (`539 US 306`, `644 F3d 301`, `42 USC sec 2000a`) is the same whatever form it came from, so
a pair of neutral passage and printed passage shows a model a house style and nothing but the house style.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from webapp.citations.find import find_citations
from webapp.citations.marks import Citation, Kind, elided

Printer = Callable[[Mapping[str, str]], str]


@dataclass(frozen=True)
class Form:
    """How one house prints each kind of citation."""

    name: str
    printers: Mapping[Kind, Printer]

    def print(self, citation: Citation) -> str:
        """`citation` as this house prints it."""
        return self.printers[citation.kind](citation.parts)


def to_house_form(text: str, form: Form) -> str:
    """`text` with its citations, in whatever form they are printed, in `form` instead; the rest stays."""
    return restyle(text, find_citations(text), form)


def restyle(text: str, citations: Iterable[Citation], form: Form) -> str:
    """`text` with these of its citations (in order, none overlapping another) in `form`; the rest stays."""
    pieces, at = [], 0
    for citation in citations:
        pieces += [text[at : citation.start], form.print(citation)]
        at = citation.end
    return "".join([*pieces, text[at:]])


def to_neutral_form(text: str) -> str:
    """`text` with its citations in the neutral form. Doing it twice changes nothing more."""
    return to_house_form(text, NEUTRAL)


def _undotted(reporter: str) -> str:
    return reporter.replace(".", "")


def _spaced(reporter: str) -> str:
    """`F.3d` -> `F. 3d`, `U.S.` -> `U. S.`"""
    return re.sub(r"\.(?=\w)", ". ", reporter)


def _ordinal(number: str) -> str:
    return {"1": "1st", "2": "2d", "3": "3d"}.get(number, f"{number}th")


def _circuit(circuit: str, *, undotted: bool) -> str:
    names = {"DC": "D.C. Cir.", "Fed": "Fed. Cir."}
    name = names.get(circuit) or f"{_ordinal(circuit)} Cir."
    return _undotted(name) if undotted else name


def _initials(state: str) -> str:
    """`N.Y.` -> `NY`, but `W.Va.` stays."""
    bare = _undotted(state)
    return bare if bare.isupper() else state


def _district(side: str, state: str) -> str:
    """`SDNY`, `S.D.N.Y.`, but `ND Cal.`, `N.D. Cal.`"""
    return f"{side}{state}" if state.replace(".", "").isupper() else f"{side} {_spaced(state)}"


NEUTRAL = Form(
    "neutral",
    {
        Kind.CASE: lambda p: f"{p['volume']} {_undotted(p['reporter'])}{p['nominative']} {p['page']}",
        Kind.SHORT: lambda p: f"{p['volume']} {_undotted(p['reporter'])} at {p['page']}",
        Kind.CODE: lambda p: f"{p['volume']} {p['code']}",
        Kind.SECTION: lambda p: f"sec{p['plural']} ",
        Kind.RULE: lambda p: {"Civ": "FRCP", "Crim": "FRCrP", "App": "FRAP", "Evid": "FRE"}[p["rules"]],
        Kind.CIRCUIT: lambda p: _circuit(p["circuit"], undotted=True),
        Kind.ID: lambda p: f"{p['id']} at ",
        Kind.PIN: lambda p: f"-{p['last']}",
        Kind.PARAGRAPH: lambda p: f"para{p['plural']} ",
        Kind.DISTRICT: lambda p: _undotted(_district(p["side"], p["state"])),
        Kind.IBID: lambda p: f"{p['capital']}d.",
        Kind.SUPRA: lambda p: "supra at " if not p["note"] else f"supra note {p['note']} at ",
        Kind.LATIN: lambda p: p["first"] + p["second"],
    },
)

COURT = Form(
    "Supreme Court of the United States",
    {
        Kind.CASE: lambda p: f"{p['volume']} {_spaced(p['reporter'])}{p['nominative']} {p['page']}",
        Kind.SHORT: lambda p: f"{p['volume']} {_spaced(p['reporter'])}, at {p['page']}",
        Kind.CODE: lambda p: f"{p['volume']} {'U. S. C.' if p['code'] == 'USC' else p['code']}",
        Kind.SECTION: lambda p: "§§" if p["plural"] else "§",
        Kind.RULE: lambda p: f"Fed. Rule {p['rules']}." + ("" if p["rules"] == "Evid" else " Proc."),
        Kind.CIRCUIT: lambda p: f"CA{p['circuit']}" if p["circuit"] != "Fed" else "CA Fed.",
        Kind.ID: lambda p: f"{p['id']}., at ",
        Kind.PIN: lambda p: p["dash"] + p["last"],
        Kind.PARAGRAPH: lambda p: "¶¶" if p["plural"] else "¶",
        Kind.DISTRICT: lambda p: _district(p["side"], _initials(p["state"])),
        Kind.IBID: lambda p: f"{p['capital']}bid.",
        Kind.SUPRA: lambda p: "supra, at " if not p["note"] else f"supra, n. {p['note']}, at ",
        Kind.LATIN: lambda p: f"{p['first']}. {p['second']}.",
    },
)

BLUEBOOK = Form(
    "Bluebook",
    {
        Kind.CASE: lambda p: f"{p['volume']} {p['reporter']}{p['nominative']} {p['page']}",
        Kind.SHORT: lambda p: f"{p['volume']} {p['reporter']} at {p['page']}",
        Kind.CODE: lambda p: f"{p['volume']} {'.'.join(p['code'])}.",
        Kind.SECTION: lambda p: "§§ " if p["plural"] else "§ ",
        Kind.RULE: lambda p: f"Fed. R. {p['rules']}." + ("" if p["rules"] == "Evid" else " P."),
        Kind.CIRCUIT: lambda p: _circuit(p["circuit"], undotted=False),
        Kind.ID: lambda p: f"{p['id']}. at ",
        Kind.PIN: lambda p: p["dash"] + elided(p["first"], p["last"]),
        Kind.PARAGRAPH: lambda p: "¶¶ " if p["plural"] else "¶ ",
        Kind.DISTRICT: lambda p: _district("".join(f"{letter}." for letter in p["side"]), p["state"]),
        Kind.IBID: lambda p: f"{p['capital']}d.",
        Kind.SUPRA: lambda p: "supra at " if not p["note"] else f"supra note {p['note']}, at ",
        Kind.LATIN: lambda p: f"{p['first']}.{p['second']}.",
    },
)
