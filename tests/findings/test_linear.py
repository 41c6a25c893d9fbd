"""A hostile text costs work in proportion to its length. Work is counted, never timed.

A pattern's work at one place of the text is bounded by how many ways it can be matched there: the product of
the choices that its repeats and branches leave open (one, where they are possessive or atomic). The rest of
the work is done in Python and counted as calls.
"""

from __future__ import annotations

import re
import sys
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from types import FrameType
from typing import Any

import pytest

from webapp.findings.recognisers import find
from webapp.findings.recognisers.find import FAMILIES

PATTERNS = {
    f"{family.__name__.rpartition('.')[2]}.{name}": value
    for family in FAMILIES
    for name, value in vars(family).items()
    if isinstance(value, re.Pattern)
}
WIDEST = 600  # characters that a pattern may look at from one place
WAYS = 250_000
SIZE = 2**20

HOSTILE = [
    *("1", "1 ", "1-", "12-", "123-45-", "(1", "+1 ", "+", "212-736-", "1.2.3/4/", "4111 1111 1111 "),
    *("GB82 WEST 12", "A1 ", "AA11", "a@", "a.", "a@b.", "@", "aaaa-", "routing 0210", "account no. no. "),
    *("Account Number 1 2 3 4 5 ", "born ", "born March 3 ", "March 3, ", "1/1/1 ", "1 A A A A "),
    *("1 Oak Street, ", "12 Oak Street, A A A, ", "resides at ", "Privileged and ", "this memorandum "),
    *("this a a memorandum ", "WORK PRODUCT ", "under seal [", "Call 1", "tel. tel. ", " ", "\n", "\n\n"),
    *(". ", "A", "ÅA1 "),
]


def ways(tree: Any) -> int:
    """In how many ways, at most, a pattern can match at one place: a bound on the steps back it takes."""
    product = 1
    for kind, value in tree:
        match kind:
            case op.BRANCH:
                product *= sum(ways(branch) for branch in value[1])
            case op.SUBPATTERN:
                product *= ways(value[3])
            case op.MAX_REPEAT | op.MIN_REPEAT:
                low, high, inner = value
                assert high is not op.MAXREPEAT, "an unbounded repeat"
                each = ways(inner)
                product *= sum(each**times for times in range(low, high + 1)) if each > 1 else high - low + 1
            case op.POSSESSIVE_REPEAT:
                low, high, inner = value
                assert high is not op.MAXREPEAT, "an unbounded repeat"
                assert ways(inner) * high <= WAYS
            case op.ATOMIC_GROUP:
                assert ways(value) <= WAYS
            case op.ASSERT | op.ASSERT_NOT:
                assert ways(value[1]) <= WAYS
    return product


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_does_bounded_work_at_a_place(name: str) -> None:
    pattern = PATTERNS[name]
    tree = parser.parse(pattern.pattern, pattern.flags)
    assert tree.getwidth()[1] <= WIDEST
    assert ways(tree) <= WAYS


def calls(text: str) -> int:
    """How many Python and C functions `find` calls on `text`."""
    count = 0

    def counting(_frame: FrameType, event: str, _value: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(counting)
    try:
        find(text)
    finally:
        sys.setprofile(None)
    return count


@pytest.fixture(autouse=True, scope="module")
def _imported() -> None:
    find("212-736-5000")  # what is imported on first use is not counted


@pytest.mark.parametrize("piece", HOSTILE, ids=repr)
def test_a_hostile_text_costs_in_proportion_to_its_length(piece: str) -> None:
    few, many = (calls(piece * (size // len(piece))) for size in (SIZE // 32, SIZE // 8))
    assert many <= 4.5 * few + 1000


def test_a_megabyte_of_all_that_is_hostile() -> None:
    each = SIZE // len(HOSTILE)
    text = "".join(piece * (each // len(piece)) for piece in HOSTILE)
    assert calls(text) <= 2 * len(text)
