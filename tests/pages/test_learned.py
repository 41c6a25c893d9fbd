"""“What learned from this file?”: from a document to the adapter that answers the firm's programs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.conftest import Firm
from tests.factories import approved, cite, end_job, freeze, ready_document
from tests.tenancy.matters import into_matter, screen_off
from webapp.adapters.models import AdapterVersion
from webapp.core.jobs.models import JobState
from webapp.core.tenancy import firm_scope, tenant_scope
from webapp.datasets import services as datasets
from webapp.datasets.models import Dataset
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
    """The document that the live version learned from; one more is held out."""
    with firm_scope(firm.tenant.id):
        found: Document = version.run.dataset.memberships.get(split="train").document
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
    path = f"/documents/{chosen[0].id}/learned/"
    [family] = lineage(firm, chosen[0], firm.alice).families
    assert [learned.dataset for learned in family.versions] == [dataset]
    assert family.to_remake is None
    assert family.without is not None and family.without.version == 2
    with firm_scope(firm.tenant.id):
        held = set(family.without.memberships.values_list("document_id", flat=True))
    assert held == {chosen[1].id, chosen[2].id}
    page = signed_in(firm.alice).get(path).content.decode()
    assert "is being made without it" in page
    assert "Train on it" not in page
    assert "Make a version without it" not in page
    with firm_scope(firm.tenant.id):
        freeze(family.without, train=[cite(1)], heldout=[cite(2)])
    page = signed_in(firm.alice).get(path).content.decode()
    assert f"/training/new/?dataset={family.without.id}" in page
    assert "Train on it" not in signed_in(firm.erin).get(path).content.decode(), "an auditor only reads"


def test_a_version_that_could_not_be_made_is_offered_again(firm: Firm) -> None:
    chosen = [ready_document(firm, by=firm.alice) for _ in range(3)]
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        first = datasets.create(member=firm.alice, name="Briefs", document_ids=[row.id for row in chosen])
        freeze(first, train=[cite(1)], heldout=[cite(2)])
    withdraw(firm, chosen[0])
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        second = datasets.without_withdrawn(member=firm.alice, dataset=first)
        end_job(second.job, JobState.FAILED, "Nothing is left to learn.")
    [family] = lineage(firm, chosen[0], firm.alice).families
    assert (family.to_remake, family.without) == (first, None)


def test_only_the_newest_version_that_holds_it_is_made_again(firm: Firm) -> None:
    chosen = [ready_document(firm, by=firm.alice) for _ in range(4)]
    first = frozen(firm, chosen)
    withdraw(firm, chosen[0])
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        second = datasets.without_withdrawn(member=firm.alice, dataset=first)
        freeze(second, train=[cite(1)], heldout=[cite(2)])
    withdraw(firm, chosen[1])
    [family] = lineage(firm, chosen[1], firm.alice).families
    assert [learned.dataset for learned in family.versions] == [second, first]
    assert family.to_remake == second
    [family] = lineage(firm, chosen[0], firm.alice).families
    assert family.without == second
    assert not family.trainable, "another of its documents was withdrawn since"


def test_a_document_held_out_is_measured_with_and_not_learned_from(
    firm: Firm, version: AdapterVersion, signed_in: SignIn
) -> None:
    with firm_scope(firm.tenant.id):
        heldout = version.run.dataset.memberships.get(split="heldout").document
    withdraw(firm, heldout)
    found = lineage(firm, heldout, firm.alice)
    assert (found.versions, found.live, found.to_replace) == ([], [], [])
    assert found.datasets[0].runs[0].live is not None
    page = signed_in(firm.alice).get(f"/documents/{heldout.id}/learned/").content.decode()
    assert "No adapter has learned from it" in page
    assert "It is held out" in page
    assert "withdrawn file and is live" not in page
    assert "Make a version without it" in page


def test_drafts_are_told_and_examples_counted(firm: Firm, signed_in: SignIn) -> None:
    chosen = [ready_document(firm, by=firm.alice) for _ in range(2)]
    first = frozen(firm, chosen)
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        datasets.exclude(member=firm.alice, dataset=first, position=0)
    [train] = [row for row in chosen if lineage(firm, row, firm.erin).datasets[-1].trained]
    found = lineage(firm, train, firm.erin).datasets
    assert [(row.dataset.state, row.examples) for row in found] == [("draft", 0), ("ready", 2)]
    withdraw(firm, train)
    page = signed_in(firm.alice).get(f"/documents/{train.id}/learned/").content.decode()
    assert "2 of its examples come from this file" in page
    assert "It cannot be frozen with a withdrawn file in it" in page


def test_what_came_in_it_counts(firm: Firm, version: AdapterVersion, document: Document) -> None:
    letter = ready_document(firm, by=firm.alice)
    with firm_scope(firm.tenant.id):
        Document.objects.filter(id=document.id).update(parent=letter)
    found = lineage(firm, letter, firm.alice)
    assert (found.live_ids, found.to_replace) == ([version.id], [])
    withdraw(firm, letter)
    [family] = lineage(firm, letter, firm.alice).families
    assert family.to_remake == version.run.dataset
    assert [run.version for run in lineage(firm, letter, firm.alice).to_replace] == [version]


def test_the_number_of_queries_does_not_grow(
    firm: Firm, django_assert_num_queries: Callable[[int], AbstractContextManager[object]]
) -> None:
    chosen = [ready_document(firm, by=firm.alice) for _ in range(2)]
    frozen(firm, chosen)
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id), CaptureQueriesContext(connection) as one:
        learned_from(chosen[0])
    for _ in range(3):
        frozen(firm, chosen)
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id), django_assert_num_queries(len(one)):
        assert len(learned_from(chosen[0]).families) == 4


def frozen(firm: Firm, chosen: list[Document]) -> Dataset:
    """A frozen dataset of these: two examples to train on, one held out, of one document each."""
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        made = datasets.create(member=firm.alice, name="Briefs", document_ids=[row.id for row in chosen])
        freeze(made, train=[cite(1), cite(2)], heldout=[cite(3)])
    return made


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
