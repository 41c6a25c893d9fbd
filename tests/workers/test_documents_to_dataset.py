"""From an uploaded file to a frozen dataset, through the workers' own tasks."""

from __future__ import annotations

import pytest

from tests.conftest import Firm
from webapp.core.tenancy import tenant_scope
from webapp.datasets import selectors as dataset_selectors
from webapp.datasets import services as datasets
from webapp.documents import selectors, services
from webapp.documents.models import Document
from workers.tasks.build_dataset import build_dataset
from workers.tasks.extract_document import extract_document

# A job's heartbeat has a connection of its own: it sees only what was committed.
pytestmark = pytest.mark.django_db(transaction=True)

SENTENCE = (
    "The court in Brown v. Board of Education, 347 U. S. 483, 495 (1954), held that it could not stand, "
    "and nothing in the record before us suggests that the parties meant anything else when they signed. "
)
LONG = "\n\n".join(SENTENCE * 4 for _ in range(4))


def upload(firm: Firm, name: str, data: bytes) -> Document:
    with tenant_scope(firm.tenant.id):
        return services.upload(member=firm.alice, name=name, data=data)


def look(document: Document) -> Document:
    with tenant_scope(document.tenant_id):
        return selectors.document(document.tenant_id, document.id)


def test_files_of_one_upload_settle_each_by_itself(firm: Firm) -> None:
    good = upload(firm, "good.txt", LONG.encode())
    empty = upload(firm, "empty.pdf", b"")
    picture = upload(firm, "picture.docx", b"\x89PNG\r\n\x1a\n" + b"\0" * 64)
    extract_document()
    assert look(good).state == "ready"
    assert look(good).words == len(LONG.split())
    for refused in (empty, picture):
        assert look(refused).state == "refused"
        assert look(refused).reason.endswith(".")
        assert look(refused).reason.count(". ") == 0, "one sentence"


def test_a_dataset_is_built_from_what_was_read(firm: Firm) -> None:
    chosen = [upload(firm, f"{n}.txt", f"{n}. {LONG}".encode()) for n in range(2)]
    extract_document()
    with tenant_scope(firm.tenant.id):
        dataset = datasets.create(member=firm.alice, name="Briefs", document_ids=[d.id for d in chosen])
    build_dataset()
    with tenant_scope(firm.tenant.id):
        built = dataset_selectors.dataset(firm.tenant.id, dataset.id)
        assert (built.state, len(built.sha256)) == ("ready", 64)
        examples = list(dataset_selectors.examples(built))
        assert built.train_examples + built.heldout_examples == len(examples) > 1
        assert any("347 US 483" in row.prompt and "347 U. S. 483" in row.completion for row in examples)


def test_documents_with_nothing_to_learn_from_are_one_sentence(firm: Firm) -> None:
    chosen = [upload(firm, f"{n}.txt", b"Draft") for n in range(2)]
    extract_document()
    with tenant_scope(firm.tenant.id):
        dataset = datasets.create(member=firm.alice, name="Empty", document_ids=[d.id for d in chosen])
    build_dataset()
    with tenant_scope(firm.tenant.id):
        built = dataset_selectors.dataset(firm.tenant.id, dataset.id)
        assert built.state == "failed"
        assert "Add longer documents" in built.reason
        assert not dataset_selectors.examples(built).exists()
