"""Which key a request to `/v1` carries, and whether it may be here at all."""

from __future__ import annotations

from django.http import HttpRequest

from webapp.core.tenancy import tenant_scope
from webapp.gateway import errors
from webapp.tenants import bearer, selectors
from webapp.tenants.models import ApiKey, Scope
from webapp.tenants.permissions import Action, require


def key_of(request: HttpRequest) -> ApiKey:
    """The request's key, with `key.member` as whom its program acts.

    Raises InvalidKey, MissingScope, NotAllowed.
    """
    key = known_key(request)
    with tenant_scope(key.tenant_id, viewer=key.member_id):
        know_member(key)
    may_complete(key)
    return key


def known_key(request: HttpRequest) -> ApiKey:
    """The key that the request carries; its member is not known yet. Raises InvalidKey."""
    secret = bearer.secret_in(request.headers.get("Authorization", ""))
    if not secret:
        raise errors.InvalidKey("Send your API key in the header “Authorization: Bearer …”.")
    key = selectors.key_by_secret(secret)
    if key is None:
        raise errors.InvalidKey
    return key


def know_member(key: ApiKey) -> None:
    """Know as whom the program acts. In that member's scope. Raises InvalidKey when the person has left."""
    if not bearer.know_member(key):
        raise errors.InvalidKey


def may_complete(key: ApiKey) -> None:
    """Raises MissingScope, NotAllowed."""
    bearer.require_scope(key, Scope.COMPLETIONS)
    require(key.member, Action.COMPARE)
