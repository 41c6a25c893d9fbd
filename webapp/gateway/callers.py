"""Which key a request to `/v1` carries, and whether it may be here at all."""

from __future__ import annotations

from django.http import HttpRequest

from webapp.gateway import errors
from webapp.tenants import bearer
from webapp.tenants.models import ApiKey, Scope
from webapp.tenants.permissions import Action, require


def key_of(request: HttpRequest) -> ApiKey:
    """The request's key, with `key.member` as whom its program acts.

    Raises InvalidKey, MissingScope, NotAllowed.
    """
    secret = bearer.secret_in(request.headers.get("Authorization", ""))
    if not secret:
        raise errors.InvalidKey("Send your API key in the header “Authorization: Bearer …”.")
    key = bearer.key_behind(secret)
    if key is None:
        raise errors.InvalidKey
    bearer.require_scope(key, Scope.COMPLETIONS)
    require(key.member, Action.COMPARE)
    return key
