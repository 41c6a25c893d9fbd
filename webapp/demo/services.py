"""Two demo firms with documents written for this project, so that a first look needs no others."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from webapp.core.tenancy import member_scope, tenant_scope
from webapp.documents import services as documents
from webapp.gateway import services as gateway
from webapp.tenants import services as tenants
from webapp.tenants.models import Membership, Role, User

FIRMS = Path(__file__).parent / "firms"
ROLES = (Role.STAFF, Role.APPROVER, Role.ADMIN, Role.AUDITOR)


@dataclass(frozen=True)
class DemoFirm:
    name: str
    slug: str

    @property
    def files(self) -> list[Path]:
        return sorted(
            path for path in (FIRMS / self.slug).iterdir() if path.suffix in {".txt", ".docx", ".pdf"}
        )

    def email(self, role: Role) -> str:
        return f"{role}@{self.slug}.example"


def demo_firms() -> list[DemoFirm]:
    listed = json.loads((FIRMS / "firms.json").read_text())
    return [DemoFirm(firm["name"], firm["slug"]) for firm in listed["firms"]]


def seed(*, url: str, accounts: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Make the demo firms that are missing; returns and keeps the accounts (a file with mode 0600).

    Accounts whose passwords are no longer known (the file was deleted) get new ones.
    """
    known = json.loads(accounts.read_text()) if accounts.exists() else {"firms": []}
    by_name = {firm["name"]: firm for firm in known["firms"]}
    firms = [_seed_firm(firm, by_name.get(firm.name), say) for firm in demo_firms()]
    made = {"url": url, "firms": firms}
    beside = accounts.with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(made, file, indent=2)
    beside.replace(accounts)
    return made


def _seed_firm(firm: DemoFirm, known: dict[str, Any] | None, say: Callable[[str], None]) -> dict[str, Any]:
    members = {role: _member(firm.email(role)) for role in ROLES}
    admin = members[Role.ADMIN]
    if known is not None and admin is not None:
        return known
    passwords = {role: secrets.token_urlsafe(12) for role in ROLES}
    if admin is None:
        say(f"Making the demo firm {firm.name} with {len(firm.files)} documents.")
        people = _create(firm, passwords)
    else:
        say(f"The demo accounts of {firm.name} get new passwords: the old ones were not kept.")
        people = {role: member for role, member in members.items() if member is not None}
        for role, member in people.items():
            member.user.set_password(passwords[role])
            member.user.save(update_fields=["password"])
    with tenant_scope(people[Role.ADMIN].tenant_id):
        _, secret = gateway.make_key(member=people[Role.ADMIN], name="Demo key")
    account = {str(role): {"email": firm.email(role), "password": passwords[role]} for role in ROLES}
    return {"name": firm.name, **account, "api_key": secret}


def _member(email: str) -> Membership | None:
    user = User.objects.filter(email=email).first()
    if user is None:
        return None
    with member_scope(user.pk):
        found: Membership | None = Membership.objects.select_related("user").filter(user=user).first()
    return found


def _create(firm: DemoFirm, passwords: dict[Role, str]) -> dict[Role, Membership]:
    tenant = tenants.create_firm(name=firm.name)
    with tenant_scope(tenant.id):
        people = {
            role: tenants.add_member(
                tenant_id=tenant.id,
                by=None,
                email=firm.email(role),
                name=f"{role.label} of {firm.name}",
                role=role,
                password=passwords[role],
            )
            for role in ROLES
        }
        staff = people[Role.STAFF]
        staff.tenant = tenant
        for path in firm.files:
            documents.upload(member=staff, name=path.name, data=path.read_bytes())
    return people
