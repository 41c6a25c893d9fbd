"""Who calls: a program by its API key, or the pages' own scripts by the session they run in."""

from __future__ import annotations

from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from webapp.core.errors import NotAllowed
from webapp.core.tenancy import tenant_scope
from webapp.tenants import bearer, selectors
from webapp.tenants.models import Membership, Scope, User


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer <API key>`: `request.auth` is the member as whom the key acts.

    The key needs the scope “read” for what changes nothing, and “write” for everything else.
    """

    def authenticate(self, request: Request) -> tuple[User, Membership] | None:
        secret = bearer.secret_in(request.headers.get("Authorization", ""))
        if secret is None:
            return None
        key = bearer.key_behind(secret)
        if key is None:
            raise AuthenticationFailed(bearer.WRONG_KEY, code="invalid_api_key")
        bearer.require_scope(key, Scope.READ if request.method in SAFE_METHODS else Scope.WRITE)
        return key.member.user, key.member

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="housestyle"'


class FirmSessionAuthentication(SessionAuthentication):
    """The session of a signed-in member, with the CSRF token: `request.auth` is the member."""

    def authenticate(self, request: Request) -> tuple[User, Membership] | None:
        user = request._request.user
        if not isinstance(user, User) or not user.is_active:
            return None
        self.enforce_csrf(request)
        membership = selectors.membership_of(user)
        if membership is None:
            raise NotAllowed("You do not belong to a firm yet; ask your firm's admin to add you.")
        with tenant_scope(membership.tenant_id, viewer=membership.id):
            return user, selectors.member(membership.tenant_id, membership.id)
