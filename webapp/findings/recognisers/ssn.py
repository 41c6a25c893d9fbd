"""Social Security numbers, by what the Social Security Administration says it has never given out:
areas 000, 666 and 900-999, group 00, serial 0000 (https://www.ssa.gov/employer/randomization.html)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from webapp.findings.models import FindingKind
from webapp.findings.recognisers.found import DASH, SPACE, Found, before

# Printed on a wallet's sample card and in a pamphlet, then voided: they are nobody's.
VOIDED = {"078051120", "219099999"}

_NUMBER = re.compile(
    rf"(?<![\d.$§])(?<!\d{DASH})(?P<area>\d{{3}})(?P<by>{DASH}|{SPACE})?(?P<group>\d\d)"
    rf"(?:(?P=by)|(?<![^\d]\d\d))(?P<serial>\d{{4}})(?!\d)(?!{DASH}\d)(?![.,]\d)"
)
_SAYS_SO = re.compile(
    r"\bs\.?s\.?n\b|\bsocial\s{1,2}security\b|\bsoc\.\s{1,2}sec\b|\bss\s?(?:#|no\b|number)", re.IGNORECASE
)
REACH = 60


def find(text: str) -> Iterator[Found]:
    """Numbers written 123-45-6789; with spaces or undivided only after words that say what they are."""
    for match in _NUMBER.finditer(text):
        if not may_be_given(match["area"], match["group"], match["serial"]):
            continue
        divided = bool(match["by"]) and not match["by"].isspace()
        if divided or _SAYS_SO.search(before(text, match.start(), REACH)):
            yield Found(FindingKind.SSN, *match.span())


def may_be_given(area: str, group: str, serial: str) -> bool:
    """Whether such a number can be somebody's."""
    if area in {"000", "666"} or area[0] == "9" or group == "00" or serial == "0000":
        return False
    return area + group + serial not in VOIDED
