from __future__ import annotations

from webapp.core.errors import Invalid


def problem(name: str, rule: str) -> Invalid:
    """The refusal of the field `name`, of which `rule` says what it must be."""
    return Invalid(f"The parameter “{name}” {rule}.", fields={name: f"It {rule}."})
