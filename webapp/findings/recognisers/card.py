"""Payment card numbers: an issuer's prefix with one of its lengths (ISO/IEC 7812) and Luhn's check digit."""

from __future__ import annotations

import re
from collections.abc import Iterator

from webapp.findings.models import FindingKind
from webapp.findings.recognisers.found import Found, digits

# The prefixes as ranges of their first digits, and how long their numbers are.
ISSUERS: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    ("4", "4", (13, 16, 19)),  # Visa
    ("51", "55", (16,)),  # Mastercard
    ("2221", "2720", (16,)),
    ("34", "34", (15,)),  # American Express
    ("37", "37", (15,)),
    ("6011", "6011", (16, 19)),  # Discover
    ("644", "659", (16, 19)),
    ("300", "305", (14, 16)),  # Diners Club
    ("3095", "3095", (14, 16)),
    ("36", "36", (14,)),
    ("38", "39", (14, 16)),
    ("3528", "3589", (16, 19)),  # JCB
    ("62", "62", (16, 17, 18, 19)),  # UnionPay
    ("5018", "5018", (16,)),  # Maestro
    ("5020", "5020", (16,)),
    ("5038", "5038", (16,)),
    ("6304", "6304", (16,)),
    ("6759", "6759", (16,)),
    ("6761", "6763", (16,)),
)

# As cards print them, four by four or 4-6-5 and 4-6-4, or undivided.
_NUMBER = re.compile(
    r"(?<![\d.])(?:\d{13,19}"
    r"|\d{4}(?P<by>[ \u00a0-])\d{4}(?P=by)\d{4}(?P=by)\d{4}(?:(?P=by)\d{1,3}(?!\d))?"
    r"|\d{4}(?P<by_six>[ \u00a0-])\d{6}(?P=by_six)\d{4,5})(?![\d-])"
)


def find(text: str) -> Iterator[Found]:
    for match in _NUMBER.finditer(text):
        # A date or code may follow a card number as a fifth group; the card is then the first four.
        for end in (match.end(), match.start() + 19):
            if end <= match.end() and is_card(digits(text[match.start() : end])):
                yield Found(FindingKind.CARD, match.start(), end)
                break


def is_card(number: str) -> bool:
    return luhn(number) and any(
        len(number) in lengths and low <= number[: len(low)] <= high for low, high, lengths in ISSUERS
    )


def luhn(number: str) -> bool:
    """Whether the last digit checks the others (ISO/IEC 7812-1, annex B)."""
    total = 0
    for place, digit in enumerate(reversed(number)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
