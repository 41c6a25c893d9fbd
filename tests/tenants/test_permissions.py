"""Who may do what: the whole matrix, written out so that a person can check it against the firm's rules."""

from __future__ import annotations

import pytest

from webapp.core.errors import NotAllowed
from webapp.tenants.models import Membership, Role
from webapp.tenants.permissions import Action, allows, require

MATRIX = """
            staff  approver  admin  auditor
VIEW        yes    yes       yes    yes
UPLOAD      yes    yes       yes    -
REDACT      yes    yes       yes    -
BUILD       yes    yes       yes    -
TRAIN       yes    yes       yes    -
APPROVE     -      yes       -      -
RELEASE     -      yes       -      -
COMPARE     yes    yes       yes    -
OWN_KEYS    yes    yes       yes    -
MANAGE      -      -         yes    -
AUDIT       -      -         yes    yes
"""

HEAD, *ROWS = [line.split() for line in MATRIX.strip().splitlines()]
CASES = [
    (Role(role), Action[row[0]], cell == "yes")
    for row in ROWS
    for role, cell in zip(HEAD, row[1:], strict=True)
]


@pytest.mark.parametrize(("role", "action", "allowed"), CASES, ids=str)
def test_the_matrix_holds(role: Role, action: Action, allowed: bool) -> None:
    member = Membership(role=role)
    assert allows(member, action) is allowed
    if not allowed:
        with pytest.raises(NotAllowed):
            require(member, action)


def test_the_matrix_covers_every_action_and_role() -> None:
    assert {row[0] for row in ROWS} == set(Action.__members__)
    assert set(HEAD) == set(Role.values)


def test_a_refusal_says_who_could_do_it() -> None:
    with pytest.raises(NotAllowed, match="ask someone who is approver in your firm"):
        require(Membership(role=Role.STAFF), Action.APPROVE)
