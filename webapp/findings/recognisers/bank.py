"""Bank accounts: IBANs by country length and check digits (ISO 13616, ISO 7064 mod 97-10); US routing
numbers by their allotted prefixes and checksum 3-7-1, and account numbers, only after words that say so."""

from __future__ import annotations

import re
from collections.abc import Iterator

from webapp.findings.models import FindingKind
from webapp.findings.recognisers.found import Found, before, digits

# Of the SWIFT registry, how long an IBAN of each country is.
IBAN_LENGTHS = {
    country: int(length)
    for length, countries in {
        "15": "NO",
        "16": "BE",
        "18": "DK FI FK FO GL NL SD",
        "19": "MK SI",
        "20": "AT BA EE KZ LT LU MN XK",
        "21": "CH HR LI LV",
        "22": "BG BH CR DE GB GE IE ME RS VA",
        "23": "AE GI IL IQ OM SO TL",
        "24": "AD CZ ES MD PK RO SA SE SK TN VG",
        "25": "LY PT ST",
        "26": "IS TR",
        "27": "BI DJ FR GR IT MC MR SM",
        "28": "AL AZ BY CY DO GT HU LB NI PL SV",
        "29": "BR EG PS QA UA",
        "30": "JO KW MU YE",
        "31": "MT SC",
        "32": "LC",
        "33": "RU",
    }.items()
    for country in countries.split()
}

_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d\d(?:[ \u00a0-]?+[A-Z0-9]){11,29}+")
_ROUTING = re.compile(r"(?<![\d.$§-])\d{4}(?:[ -]?)\d{4}(?:[ -]?)\d(?![\d-])(?![.,]\d)")
_ROUTING_SAYS_SO = re.compile(
    r"\brouting\b|\bA\.?B\.?A\b|\bRTN\b|\btransit\s{1,2}(?:no|num|#)", re.IGNORECASE
)
_ACCOUNT = re.compile(
    r"\b(?>(?:account|acct)s?\b\.?|a/c\b)"
    r"(?P<label>(?>\s{0,2}+(?:\((?:checking|savings)\)\s{0,2}+)?(?:numbers?\b|numbered\b|nos?\b\.?|num\b\.?|#)){0,2}+)"
    r"(?P<link>(?>\s{0,2}+(?::|=|is\b|was\b|of\b)){0,2}+)\s{0,2}+"
    r"(?P<number>\d(?:[ \u00a0-]?+\d){5,16}+)(?![\d,]\d)(?![.]\d)",
    re.IGNORECASE,
)
_BANKS = re.compile(
    r"\b(?:bank|checking|savings|deposit|money market|IOLTA|trust|escrow)\s{1,2}$", re.IGNORECASE
)
REACH = 50
LONG = 8  # digits that are an account's after the bare word “account”


def find(text: str) -> Iterator[Found]:
    yield from _ibans(text)
    yield from _routing_numbers(text)
    yield from _accounts(text)


def _ibans(text: str) -> Iterator[Found]:
    for match in _IBAN.finditer(text):
        length = IBAN_LENGTHS.get(match[0][:2])
        end = _end_of(match[0], length) if length else None
        if end and is_iban(match[0][:end]) and not match[0][end : end + 1].isalnum():
            yield Found(FindingKind.BANK, match.start(), match.start() + end)


def _end_of(value: str, length: int) -> int | None:
    """How far `length` letters and digits of `value` reach; None where there are fewer."""
    seen = 0
    for at, character in enumerate(value):
        seen += character.isalnum()
        if seen == length:
            return at + 1
    return None


def is_iban(value: str) -> bool:
    plain = re.sub(r"[ \u00a0-]", "", value)
    if IBAN_LENGTHS.get(plain[:2]) != len(plain):
        return False
    return int("".join(str(int(character, 36)) for character in plain[4:] + plain[:4])) % 97 == 1


def _routing_numbers(text: str) -> Iterator[Found]:
    for match in _ROUTING.finditer(text):
        if is_routing_number(digits(match[0])) and _ROUTING_SAYS_SO.search(
            before(text, match.start(), REACH)
        ):
            yield Found(FindingKind.BANK, *match.span())


def is_routing_number(number: str) -> bool:
    """A bank's number of the American Bankers Association: 00-12, 21-32, 61-72 or 80, and its checksum."""
    first = int(number[:2])
    if not (first <= 12 or 21 <= first <= 32 or 61 <= first <= 72 or first == 80) or not int(number):
        return False
    return sum(int(digit) * (3, 7, 1)[place % 3] for place, digit in enumerate(number)) % 10 == 0


def _accounts(text: str) -> Iterator[Found]:
    """Six to seventeen digits right after “account number”, “acct. #”, “checking account”; or eight and more
    after “account”."""
    for match in _ACCOUNT.finditer(text):
        said = match["label"] or match["link"].strip() == ":" or len(digits(match["number"])) >= LONG
        if said or _BANKS.search(before(text, match.start(), 20)):
            yield Found(FindingKind.BANK, *match.span("number"))
