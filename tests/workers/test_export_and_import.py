"""A dataset goes out as a file and comes back the same, to the byte."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from tests.conftest import Firm
from tests.factories import freeze, ready_document
from tests.models import tiny_model_folder
from webapp.audit.models import Event
from webapp.core.tenancy import firm_scope, tenant_scope
from webapp.datasets import selectors, services
from webapp.datasets.examples import NewExample
from webapp.datasets.models import Dataset
from webapp.documents import services as documents
from webapp.tenants import selectors as tenants
from workers.tasks.build_dataset import build_dataset
from workers.tasks.extract_document import extract_document

pytestmark = pytest.mark.django_db(transaction=True)

CHAT = ({"role": "system", "content": "You draft."}, {"role": "user", "content": "Naïve “§ 5” 契約?"})
TRAIN = [
    NewExample("cite", "See 539 US 306.", "See 539 U. S. 306."),
    NewExample("draft", "Draft it.\n\n- one\n- two", "Two paragraphs.\n\nThe second\u2028one."),
    NewExample("chat", "And then?", "  It ends. ", CHAT),
]
HELDOUT = [NewExample("continue", "So far …", "… it went on \U0001f600 \\n “quoted”.")]


@pytest.fixture
def dataset(firm: Firm, settings: Any) -> Dataset:
    settings.BASE_MODEL_DIR = tiny_model_folder()
    chosen = [ready_document(firm, by=firm.alice) for _ in range(2)]
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        made = services.create(member=firm.alice, name="Briefs", document_ids=[row.id for row in chosen])
        freeze(made, train=TRAIN, heldout=HELDOUT)
    return made


def export(client: Client, dataset: Dataset) -> bytes:
    answer: Any = client.get(f"/datasets/{dataset.id}/export.jsonl")
    assert answer.status_code == 200
    assert answer["Content-Disposition"].startswith("attachment")

    async def whole() -> bytes:
        return b"".join([part async for part in answer.streaming_content])

    return async_to_sync(whole)()


def test_the_file_holds_every_example_and_its_own_fingerprint(
    firm: Firm, dataset: Dataset, signed_in: Any
) -> None:
    header, rest = export(signed_in(firm.alice), dataset).split(b"\n", 1)
    about = json.loads(header)["housestyle_dataset"]
    assert about["sha256"] == dataset.sha256
    assert hashlib.sha256(rest).hexdigest() == about["manifest"]["examples_sha256"]
    assert len(rest.splitlines()) >= len(TRAIN) + len(HELDOUT)


def test_what_comes_back_is_the_same_to_the_byte(firm: Firm, dataset: Dataset, signed_in: Any) -> None:
    client = signed_in(firm.alice)
    data = export(client, dataset)
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        file = documents.upload(member=firm.alice, name="briefs.jsonl", data=data)
    extract_document()
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        again = services.create(member=firm.alice, name="Again", document_ids=[file.id])
    build_dataset()
    with firm_scope(firm.tenant.id):
        again = selectors.dataset(firm.tenant.id, again.id)
        assert again.state == "ready", again.reason
        assert services.verify(again)
    assert again.manifest["examples_sha256"] == dataset.manifest["examples_sha256"]
    assert export(client, again).split(b"\n", 1)[1] == data.split(b"\n", 1)[1]


def test_the_import_page_leads_from_the_file_to_the_dataset(
    firm: Firm, dataset: Dataset, signed_in: Any
) -> None:
    client = signed_in(firm.alice)
    file = SimpleUploadedFile("briefs.jsonl", export(client, dataset))
    with firm_scope(firm.tenant.id):
        matter = tenants.general_matter(firm.tenant.id)
    answer = client.post("/datasets/import/", {"file": file, "matter": matter.id})
    assert answer.status_code == 302
    extract_document()
    made = client.post(answer["Location"], {"name": "Imported"})
    assert made.status_code == 302, made.content.decode()
    build_dataset()
    page = client.get(made["Location"]).content.decode()
    assert "Imported" in page
    assert "539 U. S. 306" in page


def test_an_export_is_in_the_log_and_not_for_everybody(
    firm: Firm, other_firm: Firm, dataset: Dataset, signed_in: Any
) -> None:
    assert signed_in(firm.erin).get(f"/datasets/{dataset.id}/export.jsonl").status_code == 403
    assert signed_in(other_firm.carol).get(f"/datasets/{dataset.id}/export.jsonl").status_code == 404
    export(signed_in(firm.alice), dataset)
    with firm_scope(firm.tenant.id):
        assert Event.objects.filter(action="dataset.exported").count() == 1


def test_pairs_without_a_side_are_split_one_by_one_and_always_alike(firm: Firm, settings: Any) -> None:
    settings.BASE_MODEL_DIR = tiny_model_folder()
    lines = [{"prompt": f"Question {n}?", "completion": f"Answer {n}."} for n in range(40)]
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        data = "\n".join(map(json.dumps, lines)).encode()
        file = documents.upload(member=firm.alice, name="pairs.jsonl", data=data)
    extract_document()
    made = []
    for _ in range(2):
        with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
            made.append(
                services.create(
                    member=firm.alice, name="Pairs", document_ids=[file.id], heldout_share=0.25, seed=3
                )
            )
        build_dataset()
    with firm_scope(firm.tenant.id):
        first, second = (selectors.dataset(firm.tenant.id, row.id) for row in made)
    assert (first.train_examples, first.heldout_examples) == (30, 10)
    assert first.manifest["examples_sha256"] == second.manifest["examples_sha256"]
