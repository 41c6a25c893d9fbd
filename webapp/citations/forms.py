"""Print the citations of a text in a given form: the neutral one, the Supreme Court's, or the Bluebook's.

The neutral form (`539 US 306`, `644 F3d 301`, `42 USC sec 2000a`) is the same whatever form it came from, so
a pair of neutral passage and printed passage shows a model a house style and nothing but the house style.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from webapp.citations.find import Citation, Kind, find_citations

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
    pieces, at = [], 0
    for citation in find_citations(text):
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
    },
)
