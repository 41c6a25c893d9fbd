from __future__ import annotations

import uuid
from datetime import timedelta

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils import timezone

from webapp.audit import services as audit
from webapp.core import storage
from webapp.core.errors import Conflict, Invalid
from webapp.core.tenancy import tenant_scope
from webapp.tenants import keys
from webapp.tenants.models import ApiKey, Matter, Membership, Role, Tenant, User
from webapp.tenants.permissions import Action, allows, require

LAST_USED_GRAIN = timedelta(minutes=1)


def create_firm(*, name: str) -> Tenant:
    """A new firm with its own encryption key."""
    if not name.strip():
        raise Invalid("A firm needs a name.", fields={"name": "Write the firm's name."})
    tenant_id = uuid.uuid4()
    with tenant_scope(tenant_id):
        firm = Tenant.objects.create(
            id=tenant_id, name=name.strip(), wrapped_key=storage.new_wrapped_key(tenant_id)
        )
        Matter.objects.create(tenant=firm, name="General", is_general=True)
        audit.record(tenant_id=tenant_id, actor=None, action="firm.created", target=firm)
    return firm


def add_member(
    *, tenant_id: uuid.UUID, by: Membership | None, email: str, name: str, role: str, password: str
) -> Membership:
    """A new person in the firm; `by` is None when the operator adds the first ones.

    Raises Invalid with every problem, Conflict when the address is taken.
    """
    if by is not None:
        require(by, Action.MANAGE)
    problems: dict[str, str] = {}
    try:
        validate_email(email)
    except ValidationError:
        problems["email"] = "Write a full e-mail address."
    try:
        validate_password(password, User(email=email, name=name))
    except ValidationError as error:
        problems["password"] = " ".join(error.messages)
    if role not in Role.values:
        problems["role"] = "Choose one of the roles."
    if problems:
        raise Invalid("This person cannot be added yet.", fields=problems)
    if User.objects.filter(email__iexact=email).exists():
        raise Conflict("Somebody already signs in with this e-mail address.")
    with transaction.atomic():
        user = User.objects.create_user(email, password, name=name)
        membership: Membership = Membership.objects.create(tenant_id=tenant_id, user=user, role=role)
        audit.record(tenant_id=tenant_id, actor=by, action="member.added", target=membership, role=role)
    return membership


def create_api_key(*, member: Membership, name: str) -> tuple[ApiKey, str]:
    """A key that acts as `member`, and its secret, which is never seen again."""
    require(member, Action.OWN_KEYS)
    if not name.strip():
        raise Invalid("Name the key after the program that will use it.", fields={"name": "Write a name."})
    secret = keys.generate()
    key = ApiKey.objects.create(
        tenant_id=member.tenant_id,
        member=member,
        name=name.strip()[:100],
        prefix=keys.visible_prefix(secret),
        key_hash=keys.digest(secret),
    )
    audit.record(tenant_id=member.tenant_id, actor=member, action="key.created", target=key, name=key.name)
    return key, secret


def revoke_api_key(*, member: Membership, key: ApiKey) -> None:
    """From now on the key does not exist for any program."""
    if key.member_id != member.id and not allows(member, Action.MANAGE):
        require(member, Action.MANAGE)
    live = ApiKey.objects.of(member.tenant_id).filter(id=key.id, revoked_at=None)
    if live.update(revoked_at=timezone.now()):
        audit.record(
            tenant_id=member.tenant_id, actor=member, action="key.revoked", target=key, name=key.name
        )


def note_key_use(key: ApiKey) -> None:
    """Remember the last use, to the minute: a busy key must not write a row per request."""
    now = timezone.now()
    if key.last_used_at is None or now - key.last_used_at > LAST_USED_GRAIN:
        ApiKey.objects.filter(id=key.id).update(last_used_at=now)
