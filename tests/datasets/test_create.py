from __future__ import annotations

import uuid

import pytest

from tests.conftest import Firm
from tests.factories import queued_run, ready_dataset, ready_document
from webapp.core.errors import Conflict, Invalid
from webapp.core.tenancy import tenant_scope
from webapp.datasets import selectors, services
from webapp.documents import services as documents


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
