"""Phone numbers: what is written like one, and what libphonenumber (Google) says is one.

Libphonenumber's own search takes pages and years for numbers (`326-343 2003`), so it is asked about a place
only: a number in the American grouping with one separator throughout, one with a plus sign, or digits that
follow a word such as “tel.”. The fictional 555-01xx are numbers to it and to us: a warning about an invented
number costs one click, a real one that passes costs more.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from types import ModuleType

from webapp.findings.models import FindingKind
from webapp.findings.recognisers.found import DASH, SPACE, Found, before

_EXTENSION = r"(?:,?+\s{0,2}+(?:ext\b\.?|extension|x)\s{0,2}+\d{1,6}\b)?"
_AMERICAN = re.compile(
    rf"(?<![\d$§.])(?<!\d{DASH})(?<!\d/)(?:\+?1(?:{DASH}|{SPACE}|\.){{0,2}})?"
    rf"(?:\([2-9]\d\d\){SPACE}{{0,2}}[2-9]\d\d(?:{DASH}|{SPACE}|\.)\d{{4}}"
    rf"|[2-9]\d\d(?P<by>{DASH}|{SPACE}|\.)[2-9]\d\d(?P=by)\d{{4}}"
    rf"|[2-9]\d\d/[2-9]\d\d{DASH}\d{{4}})(?!\d)(?!{DASH}\d)(?![.,]\d){_EXTENSION}",
    re.IGNORECASE,
)
_ABROAD = re.compile(rf"(?<![\d+])\+(?:[ \u00a0().-]{{0,3}}+\d){{7,15}}+(?!\d){_EXTENSION}", re.IGNORECASE)
_CALLED_SO = re.compile(
    r"\b(?>tele?(?:phone)?|phone|cell(?:phone|ular)?|mobile|fax|facsimile|call|dial|text)\b\.?+"
    r"(?>\s{1,2}+(?:number\b|no\b\.?|at\b|on\b|me\b|him\b|her\b|us\b|is\b|was\b|#)){0,3}+\s{0,2}+:?+\s{0,2}+"
    rf"(?P<number>\(?+\d(?:[ \u00a0().-]{{0,2}}+\d){{6,13}}+)(?!\d)(?!{DASH}\d)(?!/){_EXTENSION}",
    re.IGNORECASE,
)
_DOCKET = re.compile(r"\b(?:nos?\.|docket|case|civ\.|index|cause|bates)\s{0,2}$", re.IGNORECASE)


def find(text: str) -> Iterator[Found]:
    for match in _AMERICAN.finditer(text):
        # Spaces alone may as well be columns of a table: then only a number in service counts.
        if not _DOCKET.search(before(text, match.start(), 10)) and _is_number(match[0], in_service=True):
            yield Found(FindingKind.PHONE, *match.span())
    for match in _ABROAD.finditer(text):
        if _is_number(match[0], in_service=True):
            yield Found(FindingKind.PHONE, *match.span())
    for match in _CALLED_SO.finditer(text):
        if _is_number(match["number"], in_service=False):
            yield Found(FindingKind.PHONE, match.start("number"), match.end())


def _is_number(written: str, *, in_service: bool) -> bool:
    """Whether it is a number of the United States or, with its plus sign, of any country."""
    phonenumbers = _phonenumbers()
    try:
        number = phonenumbers.parse(written, "US")
    except phonenumbers.NumberParseException:
        return False
    return bool(
        phonenumbers.is_valid_number(number) if in_service else phonenumbers.is_possible_number(number)
    )


@functools.cache
def _phonenumbers() -> ModuleType:
    # Imported on first use: the web process shows findings, only workers look for them.
    import phonenumbers

    return phonenumbers
