from __future__ import annotations

import pytest

from tests.conftest import Firm
from tests.factories import ready_document
from webapp.audit.models import Event
from webapp.core.errors import NotAllowed
from webapp.core.tenancy import tenant_scope
from webapp.documents import selectors, services
from webapp.tenants import matters
from webapp.tenants.models import Matter


def new_matter(firm: Firm, name: str = "Smith v. Jones") -> Matter:
    with tenant_scope(firm.tenant.id):
        return matters.create_matter(member=next(iter(firm.people.values())), name=name)


def test_a_document_belongs_to_the_general_matter_unless_one_is_named(firm: Firm) -> None:
    matter = new_matter(firm)
    with tenant_scope(firm.tenant.id):
        assert services.upload(member=firm.alice, name="a.txt", data=b"a").matter.is_general
        named = services.upload(member=firm.alice, name="b.txt", data=b"b", matter=matter)
        assert list(selectors.listed(firm.tenant.id, matter_id=matter.id)) == [named]


def test_documents_move_together_and_each_is_audited(firm: Firm) -> None:
    matter = new_matter(firm)
    documents = [ready_document(firm) for _ in range(3)]
    with tenant_scope(firm.tenant.id):
        general = documents[0].matter_id
        assert services.move(member=firm.alice, documents=documents[:2], matter=matter) == 2
        assert services.move(member=firm.alice, documents=documents[:2], matter=matter) == 0
        assert set(selectors.listed(firm.tenant.id, matter_id=matter.id)) == set(documents[:2])
        events = Event.objects.of(firm.tenant.id).filter(action="document.moved")
        assert {event.object_id for event in events} == {str(document.id) for document in documents[:2]}
        assert events[0].data == {"before": str(general), "after": str(matter.id)}


def test_an_auditor_moves_nothing(firm: Firm) -> None:
    matter, document = new_matter(firm), ready_document(firm)
    with tenant_scope(firm.tenant.id), pytest.raises(NotAllowed):
        services.move(member=firm.erin, documents=[document], matter=matter)
