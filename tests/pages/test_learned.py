"""“What learned from this file?”: from a document to the adapter that answers the firm's programs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from tests.conftest import Firm
from tests.factories import approved, cite, freeze, ready_document
from tests.tenancy.matters import into_matter, screen_off
from webapp.adapters.models import AdapterVersion
from webapp.core.tenancy import firm_scope, tenant_scope
from webapp.datasets import services as datasets
from webapp.documents import services as documents
from webapp.documents.models import Document
from webapp.serving import services as serving
from webapp.serving.lineage import Lineage, learned_from
from webapp.tenants import matters
from webapp.tenants.models import Membership

pytestmark = pytest.mark.django_db

SignIn = Callable[[Membership], Client]


@pytest.fixture
def version(firm: Firm) -> AdapterVersion:
    """An approved version that is live."""
    found = approved(firm, by=firm.alice, approver=firm.bob)
    with tenant_scope(firm.tenant.id, viewer=firm.bob.id):
        serving.put_live(member=firm.bob, version=found)
    return found


@pytest.fixture
def document(firm: Firm, version: AdapterVersion) -> Document:
    """One of the two documents that the live version learned from."""
    with firm_scope(firm.tenant.id):
        found: Document = version.run.dataset.memberships.all()[0].document
    return found


def lineage(firm: Firm, document: Document, viewer: Membership) -> Lineage:
    with tenant_scope(firm.tenant.id, viewer=viewer.id):
        return learned_from(document)


def withdraw(firm: Firm, document: Document) -> None:
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        document.refresh_from_db()
        documents.withdraw(member=firm.alice, document=document, reason="Filed under seal.")


def test_the_way_leads_to_what_is_live(firm: Firm, version: AdapterVersion, document: Document) -> None:
    [learned] = lineage(firm, document, firm.erin).datasets
    assert learned.dataset == version.run.dataset
    [run] = learned.runs
    assert (run.run, run.version) == (version.run, version)
    assert run.live is not None and run.was_live == []
    with tenant_scope(firm.tenant.id, viewer=firm.bob.id):
        serving.take_off(member=firm.bob)
    found = lineage(firm, document, firm.erin)
    assert found.live == []
    assert len(found.datasets[0].runs[0].was_live) == 1


def test_a_document_that_nothing_learned_from(firm: Firm, signed_in: SignIn) -> None:
    document = ready_document(firm, by=firm.alice)
    page = signed_in(firm.erin).get(f"/documents/{document.id}/learned/").content.decode()
    assert "Nothing has learned from it" in page


def test_a_withdrawn_document_that_is_live_is_told_with_what_to_do(
    firm: Firm, version: AdapterVersion, document: Document, signed_in: SignIn
) -> None:
    path = f"/documents/{document.id}/learned/"
    assert "withdrawn file and is live" not in signed_in(firm.alice).get(path).content.decode()
    withdraw(firm, document)
    page = signed_in(firm.alice).get(path).content.decode()
    assert "withdrawn file and is live" in page
    assert "Make a version without it" in page
    evidence = signed_in(firm.bob).get(f"/adapters/versions/{version.id}/").content.decode()
    assert "withdrawn since" in evidence
    assert document.name in evidence


def test_a_version_without_it_is_offered_made_and_named(firm: Firm, signed_in: SignIn) -> None:
    chosen = [ready_document(firm, by=firm.alice) for _ in range(3)]
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        dataset = datasets.create(member=firm.alice, name="Briefs", document_ids=[row.id for row in chosen])
        freeze(dataset, train=[cite(1), cite(2)], heldout=[cite(3)])
    withdraw(firm, chosen[0])
    answer = signed_in(firm.alice).post(f"/datasets/{dataset.id}/without/")
    assert answer.status_code == 302
    [learned] = lineage(firm, chosen[0], firm.alice).datasets
    assert learned.dataset == dataset
    assert learned.followed_by is not None and learned.followed_by.version == 2
    with firm_scope(firm.tenant.id):
        held = set(learned.followed_by.memberships.values_list("document_id", flat=True))
    assert held == {chosen[1].id, chosen[2].id}
    page = signed_in(firm.alice).get(f"/documents/{chosen[0].id}/learned/").content.decode()
    assert "Briefs v2 is without it" in page


def test_outsiders_and_the_screened_see_none_of_it(
    firm: Firm, other_firm: Firm, document: Document, signed_in: SignIn
) -> None:
    path = f"/documents/{document.id}/learned/"
    assert signed_in(other_firm.carol).get(path).status_code == 404
    into_matter(firm)
    screen_off(firm, firm.alice)
    assert signed_in(firm.alice).get(path).status_code == 404
    assert signed_in(firm.bob).get(path).status_code == 200


def test_a_screened_dataset_does_not_show_on_a_document_of_another_matter(firm: Firm) -> None:
    ours, theirs = ready_document(firm, by=firm.alice), ready_document(firm, by=firm.alice)
    with firm_scope(firm.tenant.id):
        matter = matters.create_matter(member=firm.dora, name="Smith v. Jones")
        documents.move(member=firm.dora, documents=[theirs], matter=matter)
        datasets.create(member=firm.dora, name="Mixed", document_ids=[ours.id, theirs.id])
    assert len(lineage(firm, ours, firm.alice).datasets) == 1
    screen_off(firm, firm.alice)
    assert lineage(firm, ours, firm.alice).datasets == []
    assert len(lineage(firm, ours, firm.bob).datasets) == 1
