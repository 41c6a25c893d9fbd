"""Who may do what: one table that a person can read, and the two questions asked of it."""

from __future__ import annotations

from enum import StrEnum

from webapp.core.errors import NotAllowed
from webapp.tenants.models import Membership, Role


class Action(StrEnum):
    VIEW = "see documents, datasets, runs and adapters"
    UPLOAD = "add documents"
    REDACT = "decide on findings"
    BUILD = "make datasets"
    TRAIN = "start and cancel training"
    APPROVE = "approve or reject an adapter version"
    RELEASE = "put an adapter live or take it off"
    COMPARE = "use the playground and the completion API"
    OWN_KEYS = "make API keys for oneself"
    MANAGE = "manage people and all API keys"
    AUDIT = "read the audit log"


_WORKS = {
    Action.VIEW,
    Action.UPLOAD,
    Action.REDACT,
    Action.BUILD,
    Action.TRAIN,
    Action.COMPARE,
    Action.OWN_KEYS,
}

ALLOWED: dict[Role, frozenset[Action]] = {
    Role.STAFF: frozenset(_WORKS),
    # A second person decides (ABA Model Rules 5.1, 5.3): a firm admin looks after people, not after evidence.
    Role.APPROVER: frozenset(_WORKS | {Action.APPROVE, Action.RELEASE}),
    Role.ADMIN: frozenset(_WORKS | {Action.MANAGE, Action.AUDIT}),
    Role.AUDITOR: frozenset({Action.VIEW, Action.AUDIT}),
}


def allows(member: Membership, action: Action) -> bool:
    return action in ALLOWED[Role(member.role)]


def require(member: Membership, action: Action) -> None:
    """Raises NotAllowed with a sentence that names who could do it."""
    if not allows(member, action):
        roles = [role.label.lower() for role, actions in ALLOWED.items() if action in actions]
        who = " or ".join(roles)
        raise NotAllowed(f"Your role does not let you {action.value}; ask someone who is {who} in your firm.")
