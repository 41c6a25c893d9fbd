"""The second wall, asked directly: what does PostgreSQL show to whom?"""

from __future__ import annotations

import pytest
from django.apps import apps
from django.db import ProgrammingError, connection, transaction

from tests.conftest import Firm
from webapp.core.roles import APP_ROLE
from webapp.core.tenancy import TenantOwned, member_scope, tenant_scope, worker_scope
from webapp.documents import services as documents
from webapp.documents.models import Document
from webapp.tenants.models import Membership, Tenant

OWNED = [model for model in apps.get_models() if issubclass(model, TenantOwned)]


@pytest.mark.parametrize("model", [*OWNED, Tenant], ids=lambda model: model.__name__)
@pytest.mark.django_db
def test_every_table_of_a_firm_has_row_security(model: type[TenantOwned]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relrowsecurity, (SELECT count(*) FROM pg_policy WHERE polrelid = c.oid)"
            " FROM pg_class c WHERE relname = %s",
            [model._meta.db_table],
        )
        enabled, policies = cursor.fetchone()
    assert enabled
    assert policies >= 1


@pytest.mark.django_db
def test_the_role_of_web_and_workers_owns_nothing_and_cannot_bypass_row_security() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        assert cursor.fetchone()[0] == APP_ROLE
        cursor.execute("SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user")
        assert cursor.fetchone() == (False, False)
        cursor.execute("SELECT count(*) FROM pg_tables WHERE tableowner = current_user")
        assert cursor.fetchone()[0] == 0


def test_a_query_without_a_firm_sees_no_rows(firm: Firm) -> None:
    with tenant_scope(firm.tenant.id):
        documents.upload(member=firm.alice, name="a.txt", data=b"text")
        assert Document.objects.count() == 1
    assert Document.objects.count() == 0
    assert Membership.objects.count() == 0
    assert Tenant.objects.count() == 0


def test_one_firm_sees_nothing_of_another(firm: Firm, other_firm: Firm) -> None:
    with tenant_scope(firm.tenant.id):
        document = documents.upload(member=firm.alice, name="a.txt", data=b"text")
    with tenant_scope(other_firm.tenant.id):
        assert not Document.objects.filter(id=document.id).exists()
        assert Document.objects.filter(id=document.id).update(name="stolen") == 0
        assert set(Tenant.objects.values_list("id", flat=True)) == {other_firm.tenant.id}


def test_a_row_cannot_be_written_into_another_firm(firm: Firm, other_firm: Firm) -> None:
    with (
        tenant_scope(other_firm.tenant.id),
        pytest.raises(ProgrammingError, match="row-level security"),
        transaction.atomic(),
    ):
        Membership.objects.filter(id=other_firm.carol.id).update(tenant=firm.tenant)


def test_a_persons_own_membership_is_all_that_shows_before_the_firm_is_known(firm: Firm) -> None:
    with member_scope(firm.alice.user_id):
        assert [row.id for row in Membership.objects.all()] == [firm.alice.id]
        assert Membership.objects.filter(id=firm.alice.id).update(role="approver") == 0


def test_the_queue_shows_a_worker_jobs_but_no_documents(firm: Firm) -> None:
    with tenant_scope(firm.tenant.id):
        documents.upload(member=firm.alice, name="a.txt", data=b"text")
    with worker_scope():
        assert apps.get_model("core", "Job").objects.count() == 1
        assert Document.objects.count() == 0


def test_a_scope_inside_a_scope_gives_the_outer_one_back(firm: Firm, other_firm: Firm) -> None:
    with tenant_scope(firm.tenant.id):
        with tenant_scope(other_firm.tenant.id):
            assert Tenant.objects.get().id == other_firm.tenant.id
        assert Tenant.objects.get().id == firm.tenant.id
