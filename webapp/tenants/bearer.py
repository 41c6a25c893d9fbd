"""Who is behind `Authorization: Bearer <API key>`: the same answer for both of the product's APIs."""

from __future__ import annotations

from webapp.core.errors import NotAllowed, NotFound
from webapp.core.tenancy import tenant_scope
from webapp.tenants import selectors, services
from webapp.tenants.models import ApiKey, Scope

# One sentence for every key that opens nothing: to an outsider an old key looks like one that never was.
WRONG_KEY = "This API key is not known here; check that it is whole and has not expired or been revoked."


class MissingScope(NotAllowed):
    """The key is good, and not for this."""

    code = "insufficient_scope"

    def __init__(self, scope: Scope) -> None:
        super().__init__(
            f"This API key lacks the scope “{scope.value}”; use one that has it, or make one under API keys."
        )


def secret_in(header: str) -> str | None:
    """The secret that an Authorization header carries; None for any other kind of header."""
    scheme, _, secret = header.partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else None


def key_behind(secret: str) -> ApiKey | None:
    """The key with this secret, and `key.member`, with their firm, as whom its program acts; None when it
    opens nothing. What it opens is asked with `require_scope`."""
    key = selectors.key_by_secret(secret)
    if key is None:
        return None
    with tenant_scope(key.tenant_id, viewer=key.member_id):
        return key if know_member(key) else None


def know_member(key: ApiKey) -> bool:
    """Know `key.member`, and note that the key is used; False when the person has left. Call it in the scope
    of the firm and that member."""
    try:
        key.member = selectors.member(key.tenant_id, key.member_id)
    except NotFound:
        return False
    services.note_key_use(key)
    return True


def require_scope(key: ApiKey, scope: Scope) -> None:
    """Raises MissingScope."""
    if scope.value not in key.scopes:
        raise MissingScope(scope)
