"""Who is behind `Authorization: Bearer <API key>`: the same answer for both of the product's APIs."""

from __future__ import annotations

from webapp.core.errors import NotFound
from webapp.core.tenancy import tenant_scope
from webapp.tenants import selectors, services
from webapp.tenants.models import Membership

WRONG_KEY = "This API key is not known here; check that it is whole and has not been revoked."


def secret_in(header: str) -> str | None:
    """The secret that an Authorization header carries; None for any other kind of header."""
    scheme, _, secret = header.partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else None


def member_behind(secret: str) -> Membership | None:
    """The member, with their firm, as whom the key's program acts; None when the key opens nothing."""
    key = selectors.key_by_secret(secret)
    if key is None:
        return None
    with tenant_scope(key.tenant_id, viewer=key.member_id):
        try:
            member = selectors.member(key.tenant_id, key.member_id)
        except NotFound:  # the person has left
            return None
        services.note_key_use(key)
    return member
