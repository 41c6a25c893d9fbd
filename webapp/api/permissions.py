from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from webapp.tenants.models import Membership

if TYPE_CHECKING:  # the framework loads this module while it loads its own views
    from rest_framework.views import APIView


class IsMember(BasePermission):
    """Somebody of a firm. What exactly they may do is asked where it is done: in the services."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return isinstance(request.auth, Membership)
