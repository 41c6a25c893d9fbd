"""The cast: alice (staff), bob (approver), dora (admin) and erin (auditor) of one firm, carol of another.

The test database is made by its owner, then every connection becomes the unprivileged role that web and
workers use, so that row security holds in every test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client

from tests.live import live_engine, styles, web, with_engine  # noqa: F401  # fixtures of several folders
from webapp.core.roles import APP_ROLE
from webapp.core.tenancy import tenant_scope
from webapp.gateway import services as gateway
from webapp.tenants import services as tenants
from webapp.tenants.models import Membership, Role, Tenant

PASSWORD = "a long enough password"  # of people who exist in a test database only

# Hundreds of tests make people: the real hasher is slow on purpose. test_sign_in uses the real one.
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher", *settings.PASSWORD_HASHERS]


@pytest.fixture(scope="session")
def as_owner() -> None:
    settings.DATABASE_ROLE = ""


@pytest.fixture(scope="session")
def django_db_setup(as_owner: None, django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock():
        with connection.cursor() as cursor:  # only for emptying tables after transactional tests
            cursor.execute(f"GRANT TRUNCATE ON ALL TABLES IN SCHEMA public TO {APP_ROLE}")
        settings.DATABASE_ROLE = APP_ROLE
        connection.close()
        yield
        settings.DATABASE_ROLE = ""
        connection.close()


@dataclass(frozen=True)
class Firm:
    """A firm and its people. Those it lacks are absent: asking for them is a mistake of the test."""

    tenant: Tenant
    people: dict[str, Membership]
    password: str = PASSWORD

    def __getattr__(self, name: str) -> Membership:
        try:
            return self.people[name]
        except KeyError:
            raise AttributeError(name) from None

    def key(self, member: Membership, **what: Any) -> str:
        """The secret of a new API key that acts as `member`; `what` as in `gateway.services.make_key`."""
        with tenant_scope(self.tenant.id):
            return gateway.make_key(member=member, name="a program", **what)[1]


def make_firm(name: str, people: dict[str, Role]) -> Firm:
    tenant = tenants.create_firm(name=name)
    with tenant_scope(tenant.id):
        members = {
            person: tenants.add_member(
                tenant_id=tenant.id,
                by=None,
                email=f"{person}@{name.lower()}.example",
                name=person.title(),
                role=role,
                password=PASSWORD,
            )
            for person, role in people.items()
        }
        for member in members.values():
            member.tenant = tenant
    return Firm(tenant, members)


@pytest.fixture
def firm(db: None) -> Firm:
    return make_firm(
        "Ashworth", {"alice": Role.STAFF, "bob": Role.APPROVER, "dora": Role.ADMIN, "erin": Role.AUDITOR}
    )


@pytest.fixture
def other_firm(db: None) -> Firm:
    return make_firm("Brightwater", {"carol": Role.STAFF, "dave": Role.APPROVER, "frank": Role.ADMIN})


@pytest.fixture
def signed_in() -> Callable[[Membership], Client]:
    """A browser session of a member."""

    def sign_in(member: Membership) -> Client:
        client = Client()
        client.force_login(member.user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return sign_in
