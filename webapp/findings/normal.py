"""What a value is, however it is written: two writings of one phone number get one pseudonym."""

from __future__ import annotations

import re
from datetime import date

from webapp.findings.models import FindingKind
from webapp.findings.recognisers.found import digits

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_STREET_WORDS = {
    "street": "st", "avenue": "ave", "boulevard": "blvd", "road": "rd", "drive": "dr", "lane": "ln",
    "court": "ct", "place": "pl", "terrace": "ter", "circle": "cir", "parkway": "pkwy", "highway": "hwy",
    "square": "sq", "apartment": "apt", "north": "n", "south": "s", "east": "e", "west": "w",
}  # fmt: skip


def normal(kind: str, value: str) -> str:
    """`value` without what only its formatting says."""
    match kind:
        case FindingKind.PHONE:
            number, _, extension = re.sub(r"(?i)\s*(?:extension|ext\.?|x)\s*", "x", value).partition("x")
            plain = digits(number)
            if len(plain) == 10 and "+" not in number:  # written without its country
                plain = "1" + plain
            return plain + ("x" + digits(extension) if extension else "")
        case FindingKind.SSN | FindingKind.CARD | FindingKind.BANK:
            return re.sub(r"[\W_]", "", value).upper()
        case FindingKind.BIRTH_DATE:
            return _iso(value) or _words(value)
        case FindingKind.ADDRESS:
            return " ".join(_STREET_WORDS.get(word, word) for word in _words(value).split())
        case _:
            return " ".join(value.casefold().split())


def _words(value: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", value.casefold()))


def _iso(value: str) -> str:
    """A date as 1980-03-04, month before day where both are numbers; empty when it is none."""
    numbers = [int(number) for number in re.findall(r"\d+", value)]
    month = re.search(r"[a-z]{3}", re.sub(r"\d+(?:st|nd|rd|th)", "", value.casefold()).replace("of ", ""))
    if month and month[0] in _MONTHS and len(numbers) == 2:
        year, day, which = numbers[1], numbers[0], _MONTHS.index(month[0]) + 1
    elif len(numbers) == 3 and numbers[0] > 31:
        year, which, day = numbers
    elif len(numbers) == 3:
        which, day, year = numbers
    else:
        return ""
    if year < 100:
        year += 1900 if year > 30 else 2000
    try:
        return date(year, which, day).isoformat()
    except ValueError:
        return ""
