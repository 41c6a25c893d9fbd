"""Dates of birth: a full date beside words of birth. A year alone may be public (Fed. R. Civ. P. 5.2)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from webapp.findings.models import FindingKind
from webapp.findings.recognisers.found import Found, before

MONTH = (
    r"(?:Jan(?:uary|\.)?|Feb(?:ruary|\.)?|Mar(?:ch|\.)?|Apr(?:il|\.)?|May|June?\.?|July?\.?|Aug(?:ust|\.)?"
    r"|Sept?(?:ember|\.)?|Oct(?:ober|\.)?|Nov(?:ember|\.)?|Dec(?:ember|\.)?)"
)
DATE = re.compile(
    rf"(?<![\w/.-])(?:\d{{1,2}}(?P<by>[/.-])\d{{1,2}}(?P=by)(?:\d{{4}}|\d\d)|\d{{4}}-\d\d-\d\d"
    rf"|{MONTH}\s{{1,2}}\d{{1,2}}(?:st|nd|rd|th)?,?\s{{1,2}}\d{{4}}"
    rf"|\d{{1,2}}(?:st|nd|rd|th)?\s{{1,2}}(?:of\s{{1,2}})?{MONTH},?\s{{1,2}}\d{{4}})(?![\w/-])",
    re.IGNORECASE,
)
# “Born of necessity” is not a birth; between the words and the date no sentence ends.
_WORDS = re.compile(
    r"\bborn\b(?!\s(?:out\s)?(?:of|from|by)\b)|\bD\.?O\.?B\b\.?|\bdates?\s{1,2}of\s{1,2}birth\b"
    r"|\bbirth\s?-?dates?\b|\bbirthday\b",
    re.IGNORECASE,
)
_AFTER = re.compile(
    r",?\s{0,2}(?:\(|is\s|was\s|as\s)?(?:(?:the|his|her|their|my)\s)?(?:\w{1,20}['’]s\s)?"
    r"(?:D\.?O\.?B\b|date\s{1,2}of\s{1,2}birth\b|birth\s?-?date\b|birthday\b)",
    re.IGNORECASE,
)
_ENDS = re.compile(r"[a-z\d)]\.\s{1,2}[A-Z]|[;?!]|\n\n")
_ALSO = re.compile(r",?\s{0,2}(?:and|&|or)?\s{0,2}")
REACH = 80
GAP = 50


def find(text: str) -> Iterator[Found]:
    """Dates after “born”, “DOB” or “date of birth”, those listed on after them, and dates called so."""
    last = -1
    for match in DATE.finditer(text):
        listed = last >= 0 and match.start() - last <= 8 and _ALSO.fullmatch(text, last, match.start())
        if listed or _is_of_birth(text, match):
            last = match.end()
            yield Found(FindingKind.BIRTH_DATE, *match.span())


def _is_of_birth(text: str, date: re.Match[str]) -> bool:
    led_to = before(text, date.start(), REACH)
    for words in list(_WORDS.finditer(led_to))[-1:]:
        gap = led_to[words.end() :]
        if len(gap) <= GAP and not _ENDS.search(gap) and not DATE.search(gap):
            return True
    return _AFTER.match(text, date.end(), date.end() + REACH) is not None
