from typing import Any

from django.http import HttpRequest

from webapp.tenants.models import Role
from webapp.tenants.permissions import ALLOWED, Action


def firm(request: HttpRequest) -> dict[str, Any]:
    """For every template: who looks at it, and what they may do (`may.TRAIN`)."""
    member = getattr(request, "member", None)
    allowed = ALLOWED[Role(member.role)] if member else frozenset()
    return {"member": member, "may": {action.name: action in allowed for action in Action}}
