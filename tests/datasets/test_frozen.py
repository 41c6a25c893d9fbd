"""A frozen dataset is what its SHA-256 says, and the database lets nobody change it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet

from tests.conftest import Firm
from tests.factories import cite, queued_run, ready_dataset
from webapp.core.errors import Conflict
from webapp.core.roles import APP_ROLE
from webapp.core.tenancy import firm_scope
from webapp.datasets import selectors, services
from webapp.datasets.models import Dataset, Example


@pytest.fixture
def dataset(firm: Firm) -> Dataset:
    return ready_dataset(firm, by=firm.alice)


def test_the_manifest_names_what_it_was_made_of(firm: Firm, dataset: Dataset) -> None:
    with firm_scope(firm.tenant.id):
        documents = {str(part.document_id) for part in selectors.parts(dataset)}
        matters = {str(row.matter_id) for row in selectors.matters(dataset)}
        assert {part["id"] for part in dataset.manifest["documents"]} == documents
        assert set(dataset.manifest["matters"]) == matters
    for name in ("builder_version", "chat_template_sha256", "base_revision", "seed", "examples_sha256"):
        assert name in dataset.manifest


def test_it_is_verified_against_its_sha256(firm: Firm, dataset: Dataset) -> None:
    with firm_scope(firm.tenant.id):
        assert services.verify(dataset)
        dataset.manifest = {**dataset.manifest, "seed": 7}
        assert not services.verify(dataset)


TAMPERED = {
    "an answer": "UPDATE datasets_example SET completion = 'No.' WHERE dataset_id = %s AND position = 0",
    "a question": "UPDATE datasets_example SET prompt = 'Otherwise?' WHERE dataset_id = %s AND position = 1",
    "a side": "UPDATE datasets_example SET split = 'train' WHERE dataset_id = %s",
    "an order": "UPDATE datasets_example SET position = 7 - position WHERE dataset_id = %s",
    "an example": "DELETE FROM datasets_example WHERE dataset_id = %s AND position = 1",
    "a document's side": "UPDATE datasets_datasetdocument SET split = 'train' WHERE dataset_id = %s",
    "its matters": "DELETE FROM datasets_datasetmatter WHERE dataset_id = %s",
    "its seed": "UPDATE datasets_dataset SET seed = 7 WHERE id = %s",
    "its findings": "UPDATE datasets_dataset SET report = report || '{\"findings\": [1]}' WHERE id = %s",
    "its manifest": "UPDATE datasets_dataset SET manifest = manifest - 'seed'::text WHERE id = %s",
}


@pytest.mark.parametrize("what", TAMPERED)
def test_not_even_the_owner_of_the_database_changes_it_unnoticed(
    firm: Firm, dataset: Dataset, what: str
) -> None:
    sql = TAMPERED[what]
    table = next(word for word in sql.split() if word.startswith("datasets_"))
    with firm_scope(firm.tenant.id):
        assert services.verify(dataset)
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("RESET ROLE")
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
            cursor.execute(sql, [dataset.id])
            assert cursor.rowcount > 0
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
            cursor.execute(f"SET ROLE {APP_ROLE}")
        assert not services.verify(selectors.dataset(firm.tenant.id, dataset.id))


def insert(rows: QuerySet[Example], row: Example) -> None:
    Example(
        tenant_id=row.tenant_id,
        dataset_id=row.dataset_id,
        document_id=row.document_id,
        split="train",
        position=99,
        kind="cite",
        prompt="More",
        completion="words.",
    ).save(force_insert=True)


CHANGES: dict[str, Callable[[QuerySet[Example], Example], object]] = {
    "update": lambda rows, row: rows.update(completion="Otherwise."),
    "delete": lambda rows, row: row.delete(),
    "insert": insert,
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_database_refuses_to_change_its_examples(firm: Firm, dataset: Dataset, change: str) -> None:
    with firm_scope(firm.tenant.id):
        rows = Example.objects.filter(dataset=dataset)
        before = list(rows.values_list("position", "completion"))
        with pytest.raises(IntegrityError, match="frozen"), transaction.atomic():
            CHANGES[change](rows, rows[0])
        assert list(rows.values_list("position", "completion")) == before


def test_the_database_refuses_to_change_what_it_says_of_itself(firm: Firm, dataset: Dataset) -> None:
    with firm_scope(firm.tenant.id):
        changes: list[dict[str, Any]] = [{"sha256": "0" * 64}, {"manifest": {}}, {"report": {}}, {"seed": 3}]
        for change in changes:
            with pytest.raises(IntegrityError, match="frozen"), transaction.atomic():
                Dataset.objects.filter(id=dataset.id).update(**change)
        Dataset.objects.filter(id=dataset.id).update(name="Another name")  # a name is no content


def test_it_goes_as_a_whole_or_not_at_all(firm: Firm, dataset: Dataset) -> None:
    with firm_scope(firm.tenant.id):
        services.delete(member=firm.alice, dataset=dataset)
        assert not Example.objects.filter(dataset_id=dataset.id).exists()


def test_one_that_a_run_learned_from_stays(firm: Firm) -> None:
    run = queued_run(firm, by=firm.alice)
    with firm_scope(firm.tenant.id), pytest.raises(Conflict, match="must stay as evidence"):
        services.delete(member=firm.alice, dataset=run.dataset)


def test_the_examples_of_two_sides_differ(firm: Firm, dataset: Dataset) -> None:
    with firm_scope(firm.tenant.id):
        said = {row.split: row.completion for row in selectors.examples(dataset)}
    assert said == {"train": cite(1).completion, "heldout": cite(2).completion}
