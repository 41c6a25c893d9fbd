from __future__ import annotations

import pytest
from django.db import DatabaseError, connection, transaction

from tests.conftest import Firm
from webapp.audit import selectors, services
from webapp.audit.models import Event
from webapp.core.tenancy import tenant_scope


def test_the_chain_of_a_firm_is_whole(firm: Firm) -> None:
    with tenant_scope(firm.tenant.id):
        services.record(tenant_id=firm.tenant.id, actor=firm.alice, action="test", target=firm.tenant, n=1)
        assert selectors.events(firm.tenant.id)[0].actor == firm.alice.user.email
        assert selectors.first_broken(firm.tenant.id) is None


def test_a_forged_event_shows(firm: Firm) -> None:
    with tenant_scope(firm.tenant.id):
        last = selectors.events(firm.tenant.id)[0]
        Event.objects.create(
            tenant=firm.tenant,
            number=last.number + 1,
            at=last.at,
            actor="nobody",
            action="forged",
            object_type="tenant",
            object_id="",
            previous=last.digest,
            digest="0" * 64,
        )
        assert selectors.first_broken(firm.tenant.id) == last.number + 1


@pytest.mark.parametrize("statement", ["UPDATE audit_event SET actor = 'x'", "DELETE FROM audit_event"])
def test_the_database_refuses_to_rewrite_history(firm: Firm, statement: str) -> None:
    with (
        tenant_scope(firm.tenant.id),
        pytest.raises(DatabaseError),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)
