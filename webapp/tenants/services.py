from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils import timezone

from webapp.audit import services as audit
from webapp.core import storage
from webapp.core.errors import Conflict, Invalid, NotAllowed
from webapp.core.tenancy import tenant_scope
from webapp.tenants import keys
from webapp.tenants.models import ApiKey, Matter, Membership, Role, Scope, Tenant, User
from webapp.tenants.permissions import Action, allows, require

LAST_USED_GRAIN = timedelta(minutes=1)
# How long a key goes on beside the one that replaces it: time to change it in every program that has it.
OVERLAP = timedelta(hours=24)
LONGEST_OVERLAP = timedelta(days=30)


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


@transaction.atomic
def create_api_key(
    *,
    member: Membership,
    name: str,
    scopes: Iterable[str] = tuple(Scope),
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """A key that acts as `member`, and its secret, which is never seen again.

    Which adapters it may name is `gateway.services`' to say, which makes keys whole. Raises Invalid with
    every problem.
    """
    require(member, Action.OWN_KEYS)
    asked = set(scopes)
    chosen = [scope.value for scope in Scope if scope in asked]
    problems: dict[str, str] = {}
    if not name.strip():
        problems["name"] = "Write a name."
    if not chosen or asked - set(Scope.values):
        problems["scopes"] = "Choose what the program may do."
    if expires_at is not None and expires_at <= timezone.now():
        problems["expires_at"] = "Choose a time that is still to come."
    if problems:
        raise Invalid(
            "Name the key after the program that will use it, and say what it may do.", fields=problems
        )
    key, secret = _new_key(member, name.strip()[:100], chosen, expires_at)
    audit.record(
        tenant_id=member.tenant_id,
        actor=member,
        action="key.created",
        target=key,
        name=key.name,
        scopes=chosen,
        expires_at=expires_at.isoformat() if expires_at else None,
    )
    return key, secret


@transaction.atomic
def rotate_api_key(*, member: Membership, key: ApiKey, overlap: timedelta = OVERLAP) -> tuple[ApiKey, str]:
    """A key in `key`'s place, valid as long as that one was made for, and its secret, never seen again.

    The old key opens what it opened for `overlap` more, and with an overlap of nothing ends at once. Only its
    own member may do this: whoever has the new secret acts as them. Raises NotAllowed, Invalid, Conflict when
    it opens nothing any more or was replaced before.
    """
    require(member, Action.OWN_KEYS)
    if key.member_id != member.id:
        raise NotAllowed("Only the person as whom a key acts can rotate it; you can revoke it.")
    if not timedelta() <= overlap <= LONGEST_OVERLAP:
        raise Invalid(
            f"The old key can go on for {LONGEST_OVERLAP.days} days at most.",
            fields={"overlap": f"Choose at most {LONGEST_OVERLAP.days} days."},
        )
    now = timezone.now()
    old = ApiKey.objects.of(member.tenant_id).select_for_update(no_key=True).get(id=key.id)
    if not old.opens_at(now):
        raise Conflict(f"“{old.name}” opens nothing any more; make a new key.")
    if ApiKey.objects.of(member.tenant_id).filter(replaces=old).exists():
        raise Conflict(f"“{old.name}” has been replaced already; rotate the key that took its place.")
    lifetime = old.lifetime
    new, secret = _new_key(member, old.name, old.scopes, now + lifetime if lifetime else None, replaces=old)
    old.expires_at = min(old.expires_at or now + overlap, now + overlap)
    old.save(update_fields=["expires_at"])
    audit.record(
        tenant_id=member.tenant_id,
        actor=member,
        action="key.rotated",
        target=new,
        name=new.name,
        replaces=str(old.id),
        old_key_until=old.expires_at.isoformat(),
    )
    return new, secret


def _new_key(
    member: Membership,
    name: str,
    scopes: list[str],
    expires_at: datetime | None,
    *,
    replaces: ApiKey | None = None,
) -> tuple[ApiKey, str]:
    secret = keys.generate()
    key: ApiKey = ApiKey.objects.create(
        tenant_id=member.tenant_id,
        member=member,
        name=name,
        prefix=keys.visible_prefix(secret),
        key_hash=keys.digest(secret),
        scopes=scopes,
        expires_at=expires_at,
        replaces=replaces,
    )
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
