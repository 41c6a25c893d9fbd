from __future__ import annotations

import uuid

import pytest

from tests.conftest import Firm
from tests.factories import queued_run, ready_dataset, ready_document
from webapp.core.errors import Conflict, Invalid, NotAllowed
from webapp.core.tenancy import firm_scope, tenant_scope
from webapp.datasets import selectors, services
from webapp.documents import services as documents
from webapp.documents.models import Document


def test_a_dataset_is_split_by_document(firm: Firm) -> None:
    dataset = ready_dataset(firm, by=firm.alice)
    with tenant_scope(firm.tenant.id):
        sides = {part.document_id: part.split for part in selectors.parts(dataset)}
        assert sorted(sides.values()) == ["heldout", "train"]
        assert all(sides[row.document_id] == row.split for row in selectors.examples(dataset))
        assert (dataset.train_examples, dataset.heldout_examples) == (1, 1)


def test_the_hash_covers_every_example(firm: Firm) -> None:
    first, second = ready_dataset(firm), ready_dataset(firm)
    assert len(first.sha256) == 64
    assert first.sha256 != second.sha256, "it covers the documents too"
    with tenant_scope(firm.tenant.id):
        assert services.verify(first) and services.verify(second)


def test_one_document_is_too_few(firm: Firm) -> None:
    document = ready_document(firm)
    with tenant_scope(firm.tenant.id), pytest.raises(Invalid, match="at least two") as refused:
        services.create(member=firm.alice, name="One", document_ids=[document.id])
    assert set(refused.value.fields) == {"documents"}


def test_all_problems_are_told_at_once(firm: Firm) -> None:
    with tenant_scope(firm.tenant.id), pytest.raises(Invalid) as refused:
        services.create(member=firm.alice, name=" ", document_ids=[], heldout_share=0.9)
    assert set(refused.value.fields) == {"name", "documents", "heldout_share"}


def test_a_name_that_no_database_keeps_is_refused(firm: Firm) -> None:
    chosen = [ready_document(firm).id for _ in range(2)]
    with tenant_scope(firm.tenant.id), pytest.raises(Invalid) as refused:
        services.create(member=firm.alice, name="a\0b", document_ids=chosen)
    assert set(refused.value.fields) == {"name"}


def test_another_firms_documents_do_not_exist(firm: Firm, other_firm: Firm) -> None:
    theirs = [ready_document(other_firm).id, ready_document(other_firm).id]
    with tenant_scope(firm.tenant.id), pytest.raises(Invalid, match="only documents that are ready"):
        services.create(member=firm.alice, name="Stolen", document_ids=theirs)


def test_a_document_that_is_not_ready_is_refused(firm: Firm) -> None:
    with tenant_scope(firm.tenant.id):
        waiting = documents.upload(member=firm.alice, name="a.txt", data=b"x")
        with pytest.raises(Invalid, match="ready"):
            services.create(member=firm.alice, name="Early", document_ids=[waiting.id, uuid.uuid4()])


def test_a_dataset_that_a_run_learned_from_stays(firm: Firm) -> None:
    run = queued_run(firm, by=firm.alice)
    with tenant_scope(firm.tenant.id):
        with pytest.raises(Conflict, match="evidence"):
            services.delete(member=firm.alice, dataset=run.dataset)
        unused = ready_dataset(firm, by=firm.alice)
    with tenant_scope(firm.tenant.id):
        services.delete(member=firm.alice, dataset=unused)
        assert unused.id not in set(selectors.datasets(firm.tenant.id).values_list("id", flat=True))


def alike(firm: Firm, count: int) -> list[Document]:
    """Documents that say almost the same."""
    made = [ready_document(firm, by=firm.alice) for _ in range(count)]
    group = uuid.uuid4()
    with firm_scope(firm.tenant.id):
        for document in made:
            document.near_duplicates = group
            document.save(update_fields=["near_duplicates"])
    return made


def test_documents_that_say_almost_the_same_cannot_be_told_apart(firm: Firm) -> None:
    made = alike(firm, 2)
    with tenant_scope(firm.tenant.id), pytest.raises(Invalid, match="say almost the same") as refused:
        services.create(member=firm.alice, name="Leak", document_ids=[row.id for row in made])
    assert all(f"“{row.name}”" in refused.value.message for row in made)


@pytest.mark.parametrize("seed", range(5))
def test_documents_that_say_almost_the_same_are_on_one_side(firm: Firm, seed: int) -> None:
    pair = alike(firm, 2)
    chosen = [*pair, *(ready_document(firm, by=firm.alice) for _ in range(3))]
    with tenant_scope(firm.tenant.id):
        dataset = services.create(
            member=firm.alice,
            name="Briefs",
            document_ids=[row.id for row in chosen],
            heldout_share=0.4,
            seed=seed,
        )
        sides = dict(selectors.parts(dataset).values_list("document_id", "split"))
    assert len({sides[row.id] for row in pair}) == 1


def test_a_withdrawn_document_is_not_offered(firm: Firm) -> None:
    chosen = [ready_document(firm, by=firm.alice) for _ in range(3)]
    with tenant_scope(firm.tenant.id):
        chosen[0].refresh_from_db()
        documents.withdraw(member=firm.alice, document=chosen[0], reason="Under seal.")
        with pytest.raises(Invalid, match="only documents that are ready"):
            services.create(member=firm.alice, name="Briefs", document_ids=[row.id for row in chosen])


def test_kinds_and_length_have_their_bounds(firm: Firm) -> None:
    chosen = [ready_document(firm).id for _ in range(2)]
    with tenant_scope(firm.tenant.id):
        with pytest.raises(Invalid) as refused:
            services.create(
                member=firm.alice, name="Briefs", document_ids=chosen, kinds=["pair"], max_tokens=5000
            )
        assert set(refused.value.fields) == {"kinds", "max_tokens"}
        made = services.create(
            member=firm.alice, name="Briefs", document_ids=chosen, kinds=["continue", "cite"], max_tokens=200
        )
    assert (made.kinds, made.max_tokens, made.version) == (["cite", "continue"], 200, 1)


def test_a_dataset_carries_the_matters_of_its_documents(firm: Firm) -> None:
    chosen = [ready_document(firm) for _ in range(2)]
    with tenant_scope(firm.tenant.id):
        made = services.create(member=firm.alice, name="Briefs", document_ids=[row.id for row in chosen])
        assert {row.matter_id for row in selectors.matters(made)} == {row.matter_id for row in chosen}


@pytest.mark.parametrize("who", ["alice", "bob", "dora"])
def test_staff_approvers_and_admins_may_make_datasets(firm: Firm, who: str) -> None:
    chosen = [ready_document(firm).id for _ in range(2)]
    with tenant_scope(firm.tenant.id):
        made = services.create(member=getattr(firm, who), name="Briefs", document_ids=chosen)
    assert made.state == "queued"


def test_an_auditor_may_not(firm: Firm) -> None:
    chosen = [ready_document(firm).id for _ in range(2)]
    with tenant_scope(firm.tenant.id), pytest.raises(NotAllowed):
        services.create(member=firm.erin, name="Briefs", document_ids=chosen)
