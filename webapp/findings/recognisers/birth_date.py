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
_BEFORE = re.compile(
    r"(?:\bborn\b(?!\s(?:out\s)?(?:of|from|by)\b)|\bD\.?O\.?B\b\.?|\bdates?\s{1,2}of\s{1,2}birth\b"
    r"|\bbirth\s?-?dates?\b|\bbirthday\b)(?P<gap>[^;?!]{0,50})$",
    re.IGNORECASE,
)
_AFTER = re.compile(
    r",?\s{0,2}(?:\(|is\s|was\s|as\s)?(?:(?:the|his|her|their|my)\s)?(?:\w{1,20}['’]s\s)?"
    r"(?:D\.?O\.?B\b|date\s{1,2}of\s{1,2}birth\b|birth\s?-?date\b|birthday\b)",
    re.IGNORECASE,
)
_SENTENCE_ENDS = re.compile(r"[a-z\d)]\.\s{1,2}[A-Z]")
_ALSO = re.compile(r",?\s{0,2}(?:and|&|or)?\s{0,2}")
REACH = 80


def find(text: str) -> Iterator[Found]:
    """Dates after “born”, “DOB” or “date of birth”, those listed on after them, and dates called so."""
    last = -1
    for match in DATE.finditer(text):
        listed = last >= 0 and match.start() - last <= 8 and _ALSO.fullmatch(text, last, match.start())
        if listed or _is_of_birth(text, match):
            last = match.end()
            yield Found(FindingKind.BIRTH_DATE, *match.span())


def _is_of_birth(text: str, date: re.Match[str]) -> bool:
    words = _BEFORE.search(before(text, date.start(), REACH))
    if words and not _SENTENCE_ENDS.search(words["gap"]) and not DATE.search(words["gap"]):
        return True
    return _AFTER.match(text, date.end(), date.end() + REACH) is not None
