from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime

from django.apps import apps
from django.db.models import Count, Exists, OuterRef, QuerySet
from django.utils import timezone

from webapp.core import rows
from webapp.core.errors import NotFound
from webapp.core.tenancy import firm_scope, key_scope, member_scope, tenant_scope
from webapp.tenants.keys import digest
from webapp.tenants.models import ApiKey, Matter, Membership, Screen, Tenant, User

# What events are about, of all that can belong to a matter. By name: the apps stand above this one.
SUBJECTS = (
    "tenants.Matter",
    "documents.Document",
    "datasets.Dataset",
    "training.TrainingRun",
    "adapters.Adapter",
    "adapters.AdapterVersion",
)


def membership_of(user: User) -> Membership | None:
    """The person's place in their firm, with the firm; None for somebody who belongs to none."""
    with member_scope(user.pk):
        membership = Membership.objects.filter(user=user).first()
    return membership


def tenant(tenant_id: uuid.UUID) -> Tenant:
    """The firm itself. Call it inside the firm's scope: elsewhere row security hides it."""
    return Tenant.objects.get(id=tenant_id)


def key_by_secret(secret: str, *, at: datetime | None = None) -> ApiKey | None:
    """The API key with this secret, unless it is revoked or expired `at` that moment, which is now.

    Its member is not loaded: that needs the firm's scope.
    """
    key_hash = digest(secret)
    sql = """
        SELECT {k} FROM tenants_apikey k
        WHERE key_hash = %(hash)s AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > %(at)s)
        """
    with key_scope(key_hash):
        found = rows.one(sql, {"hash": key_hash, "at": at or timezone.now()}, k=ApiKey)
    return found[0] if found else None


def member(tenant_id: uuid.UUID, member_id: uuid.UUID) -> Membership:
    """The member, with user and firm. Raises NotFound, also when the person has left."""
    sql = """
        SELECT {m}, {u}, {t} FROM tenants_membership m JOIN tenants_user u ON u.id = m.user_id
        JOIN tenants_tenant t ON t.id = m.tenant_id
        WHERE m.tenant_id = %(tenant)s AND m.id = %(member)s AND u.is_active
        """
    found = rows.one(sql, {"tenant": tenant_id, "member": member_id}, m=Membership, u=User, t=Tenant)
    if found is None:
        raise NotFound
    member: Membership
    member, member.user, member.tenant = found
    return member


def members(tenant_id: uuid.UUID) -> QuerySet[Membership]:
    return Membership.objects.of(tenant_id).select_related("user").order_by("created_at")


def api_keys(member: Membership, *, everyone: bool) -> QuerySet[ApiKey]:
    keys = (
        ApiKey.objects.of(member.tenant_id)
        .select_related("member__user", "replaces", "replaced_by")
        .order_by("-created_at")
    )
    return keys if everyone else keys.filter(member=member)


def api_key(member: Membership, key_id: uuid.UUID, *, everyone: bool) -> ApiKey:
    """The gate to a key: the member's own, or with `everyone` any of the firm. Raises NotFound."""
    key = api_keys(member, everyone=everyone).filter(id=key_id).first()
    if key is None:
        raise NotFound
    return key


def matters(tenant_id: uuid.UUID) -> QuerySet[Matter]:
    """The firm's matters, “General” first."""
    return Matter.objects.of(tenant_id)


def matter(tenant_id: uuid.UUID, matter_id: uuid.UUID) -> Matter:
    """The gate to a matter. Raises NotFound for everybody outside the firm, or screened off it."""
    found: Matter | None = matters(tenant_id).filter(id=matter_id).first()
    if found is None:
        raise NotFound
    return found


def general_matter(tenant_id: uuid.UUID) -> Matter:
    """Where a document belongs while nobody has said otherwise."""
    found: Matter = matters(tenant_id).get(is_general=True)
    return found


def listed_matters(tenant_id: uuid.UUID) -> QuerySet[Matter]:
    """The matters with `document_count`, and `is_screened` where somebody is screened off."""
    standing = Screen.objects.of(tenant_id).filter(matter=OuterRef("pk"), lifted_at=None)
    found = matters(tenant_id).annotate(document_count=Count("documents"), is_screened=Exists(standing))
    return found.order_by("-is_general", "client", "name")  # counting drops the model's own order


def screens(matter: Matter, *, lifted: bool = False) -> QuerySet[Screen]:
    """Who is screened off a matter, or who was; the latest first."""
    found = Screen.objects.of(matter.tenant_id).filter(matter=matter, lifted_at__isnull=not lifted)
    return found.select_related("matter", "member__user", "set_by__user", "lifted_by__user")


def screen(matter: Matter, screen_id: uuid.UUID) -> Screen:
    """The gate to a screen of this matter, lifted or not. Raises NotFound."""
    found: Screen | None = (
        Screen.objects.of(matter.tenant_id)
        .select_related("matter", "member__user")
        .filter(matter=matter, id=screen_id)
        .first()
    )
    if found is None:
        raise NotFound
    return found


def not_screened(matter: Matter) -> QuerySet[Membership]:
    """The members who see this matter."""
    return members(matter.tenant_id).exclude(id__in=screens(matter).values("member"))


def hidden_from(member: Membership, ids: Iterable[str]) -> set[str]:
    """Which of these ids are of something that `member` is screened off."""
    asked = list(ids)
    with firm_scope(member.tenant_id):
        if not Screen.objects.of(member.tenant_id).filter(member=member, lifted_at=None).exists():
            return set()
        there = _subjects(member.tenant_id, asked)
    with tenant_scope(member.tenant_id, viewer=member.id):
        return there - _subjects(member.tenant_id, asked)


def _subjects(tenant_id: uuid.UUID, ids: list[str]) -> set[str]:
    """Those of the ids behind which the transaction sees something."""
    return {
        str(found)
        for label in SUBJECTS
        for found in apps.get_model(label)
        ._default_manager.filter(tenant_id=tenant_id, id__in=ids)
        .values_list("id", flat=True)
    }
