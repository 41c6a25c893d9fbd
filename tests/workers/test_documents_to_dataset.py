"""From an uploaded file to a frozen dataset, through the workers' own tasks."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from tests.conftest import Firm
from tests.models import tiny_model_folder
from webapp.core.jobs import services as jobs
from webapp.core.jobs.models import Job, JobKind, JobState
from webapp.core.jobs.services import LeaseLost
from webapp.core.tenancy import firm_scope, tenant_scope
from webapp.datasets import selectors as dataset_selectors
from webapp.datasets import services as datasets
from webapp.datasets.examples import NewExample
from webapp.datasets.models import Dataset, Example
from webapp.documents import selectors, services
from webapp.documents.models import Document
from webapp.findings import selectors as findings
from webapp.findings import services as desk
from workers.tasks.build_dataset import build_dataset
from workers.tasks.extract_document import extract_document

# A job's heartbeat has a connection of its own: it sees only what was committed.
pytestmark = pytest.mark.django_db(transaction=True)

WORDS = [
    "court",
    "agency",
    "tenant",
    "trustee",
    "surety",
    "carrier",
    "notice",
    "standing",
    "damages",
    "costs",
    "delay",
    "venue",
    "remand",
    "waiver",
]
CITED = "See Brown v. Board of Education, 347 U. S. 483, 495 (1954)."


@pytest.fixture(autouse=True)
def base_model(settings: Any) -> None:
    settings.BASE_MODEL_DIR = tiny_model_folder()


def brief(number: int) -> bytes:
    """Ten paragraphs that are like no other brief's."""
    dice = random.Random(number)
    paragraphs = [
        " ".join(
            f"The {dice.choice(WORDS)} of {dice.choice(WORDS)} {dice.randint(1, 999)} decides the "
            f"{dice.choice(WORDS)}, and no {dice.choice(WORDS)} was {dice.choice(WORDS)}. {CITED}"
            for _ in range(4)
        )
        for _ in range(10)
    ]
    return "\n\n".join([f"Brief {number} on {dice.choice(WORDS)}", *paragraphs]).encode()


def upload(firm: Firm, name: str, data: bytes) -> Document:
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        return services.upload(member=firm.alice, name=name, data=data)


def look(document: Document) -> Document:
    with firm_scope(document.tenant_id):
        return selectors.document(document.tenant_id, document.id)


def waiting_dataset(firm: Firm, *documents: Document, **settings: Any) -> Dataset:
    extract_document()
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        ids = [document.id for document in documents]
        return datasets.create(member=firm.alice, name="Briefs", document_ids=ids, **settings)


def built(dataset: Dataset) -> Dataset:
    with firm_scope(dataset.tenant_id):
        return dataset_selectors.dataset(dataset.tenant_id, dataset.id)


def examples(dataset: Dataset) -> list[Example]:
    with firm_scope(dataset.tenant_id):
        return list(dataset_selectors.examples(dataset))


def test_files_of_one_upload_settle_each_by_itself(firm: Firm) -> None:
    good = upload(firm, "good.txt", brief(1))
    empty = upload(firm, "empty.pdf", b"")
    picture = upload(firm, "picture.docx", b"\x89PNG\r\n\x1a\n" + b"\0" * 64)
    extract_document()
    assert look(good).state == "ready"
    assert look(good).words == len(brief(1).split())
    for refused in (empty, picture):
        assert look(refused).state == "refused"
        assert look(refused).reason.endswith(".")
        assert look(refused).reason.count(". ") == 0, "one sentence"


def test_a_dataset_is_built_from_what_was_read(firm: Firm) -> None:
    dataset = waiting_dataset(firm, *(upload(firm, f"{n}.txt", brief(n)) for n in range(4)))
    build_dataset()
    found = built(dataset)
    rows = examples(found)
    assert (found.state, len(found.sha256)) == ("ready", 64)
    assert found.train_examples + found.heldout_examples == len(rows) > 4
    assert [row.position for row in rows] == list(range(len(rows)))
    assert any("347 US 483" in row.prompt and "347 U. S. 483" in row.completion for row in rows)
    assert all(row.prompt_tokens > 10 and row.completion_tokens > 10 for row in rows)
    assert {row.split for row in rows} == {"train", "heldout"}
    by_side = {side: {row.document_id for row in rows if row.split == side} for side in ("train", "heldout")}
    assert not by_side["train"] & by_side["heldout"]
    assert found.profile["sections"] and found.report["findings"] == []
    assert (found.documents_done, found.seconds_left) == (4, None)
    with firm_scope(firm.tenant.id):
        assert datasets.verify(found)


def test_the_same_documents_and_seed_give_the_same_examples(firm: Firm) -> None:
    chosen = [upload(firm, f"{n}.txt", brief(n)) for n in range(3)]
    first = waiting_dataset(firm, *chosen)
    second = waiting_dataset(firm, *reversed(chosen))
    build_dataset()
    assert built(first).manifest["examples_sha256"] == built(second).manifest["examples_sha256"]


def test_documents_with_nothing_to_learn_from_are_one_sentence(firm: Firm) -> None:
    dataset = waiting_dataset(firm, upload(firm, "a.txt", b"Draft"), upload(firm, "b.txt", b"Notes"))
    build_dataset()
    found = built(dataset)
    assert found.state == "failed"
    assert "Add longer documents" in found.reason
    assert examples(found) == []


def test_open_findings_do_not_reach_an_example_and_accepted_ones_do(firm: Firm) -> None:
    said = (
        brief(1)
        + b"\n\nThe clerk is reached at (212) 736-5000 on any day that the court sits for the remand."
    )
    chosen = [upload(firm, "a.txt", said), upload(firm, "b.txt", brief(2))]
    first = waiting_dataset(firm, *chosen)
    build_dataset()
    text = " ".join(row.prompt + row.completion for row in examples(first))
    assert "736-5000" not in text
    assert "[Phone 1]" in text
    assert [row["state"] for row in built(first).report["findings"]] == ["open"]

    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        desk.decide(member=firm.alice, findings=findings.findings_of(chosen[0]), decision="accepted")
    second = waiting_dataset(firm, *chosen)
    build_dataset()
    assert "(212) 736-5000" in " ".join(row.completion for row in examples(second))
    row = built(second).report["findings"][0]
    assert (row["state"], row["decided_by"]) == ("accepted", firm.alice.user.email)


def test_ready_made_pairs_are_redacted_too(firm: Firm) -> None:
    lines = [{"prompt": f"Who is number {n}?", "completion": f"jane{n}@example.com"} for n in range(20)]
    dataset = waiting_dataset(firm, upload(firm, "p.jsonl", "\n".join(map(json.dumps, lines)).encode()))
    build_dataset()
    rows = examples(dataset)
    assert len(rows) == 20
    assert {row.completion for row in rows} == {f"[E-mail {n}]" for n in range(1, 21)}
    assert sum(row["count"] for row in built(dataset).report["findings"]) == 20


def test_a_withdrawn_document_stops_the_build(firm: Firm) -> None:
    chosen = [upload(firm, f"{n}.txt", brief(n)) for n in range(3)]
    dataset = waiting_dataset(firm, *chosen)
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        services.withdraw(member=firm.alice, document=look(chosen[0]), reason="Under seal.")
    build_dataset()
    assert "was withdrawn" in built(dataset).reason


def test_what_a_dead_worker_left_is_removed_by_the_next(firm: Firm) -> None:
    dataset = waiting_dataset(firm, *(upload(firm, f"{n}.txt", brief(n)) for n in range(3)))
    dead = jobs.claim(JobKind.BUILD, worker="dead")
    assert dead is not None
    left = datasets.Build(built(dataset), claim=dead)
    left.begin()
    with firm_scope(firm.tenant.id):
        part = dataset_selectors.parts(dataset)[0]
    left.add(part.document, "train", NewExample("cite", "Half", "a brief."), (3, 3))
    left.flush()
    assert len(examples(dataset)) == 1
    with firm_scope(firm.tenant.id):
        Job.objects.filter(id=dead.job_id).update(state=JobState.QUEUED)
    build_dataset()
    rows = examples(dataset)
    assert built(dataset).state == "ready"
    assert not any(row.prompt == "Half" for row in rows)
    assert len(rows) == built(dataset).example_count


def test_a_worker_whose_job_was_taken_writes_nothing_more(firm: Firm) -> None:
    dataset = waiting_dataset(firm, *(upload(firm, f"{n}.txt", brief(n)) for n in range(3)))
    stale = jobs.claim(JobKind.BUILD, worker="slow")
    assert stale is not None
    build = datasets.Build(built(dataset), claim=stale)
    build.begin()
    with firm_scope(firm.tenant.id):
        part = dataset_selectors.parts(dataset)[0]
        Job.objects.filter(id=stale.job_id).update(state=JobState.QUEUED)
    build_dataset()
    before = examples(dataset)
    build.add(part.document, "train", NewExample("cite", "Too", "late."), (3, 3))
    with pytest.raises(LeaseLost):
        build.flush()
    assert examples(dataset) == before


def test_a_cancelled_build_leaves_nothing(firm: Firm) -> None:
    dataset = waiting_dataset(firm, *(upload(firm, f"{n}.txt", brief(n)) for n in range(3)))
    with firm_scope(firm.tenant.id):
        assert dataset.job is not None
        jobs.request_cancel(dataset.job)
    build_dataset()
    assert examples(dataset) == []
    assert built(dataset).state == "failed"


def test_a_dataset_that_would_leak_is_refused_by_the_names_of_its_documents(firm: Firm) -> None:
    """Two files with a title of their own and the same text below: alike in what they teach."""
    texts = [brief(7)] * 2 + [brief(n) for n in range(2)]
    chosen = [upload(firm, f"{n}.txt", b"Number %d\n\n" % n + text) for n, text in enumerate(texts)]
    extract_document()
    with firm_scope(firm.tenant.id):  # as if nobody had noticed that they are alike
        Document.objects.update(near_duplicates=None)
    refused = []
    for seed in range(8):
        dataset = waiting_dataset(firm, *chosen, seed=seed)
        with firm_scope(firm.tenant.id):
            sides = dict(dataset_selectors.parts(dataset).values_list("document__name", "split"))
        build_dataset()
        if sides["0.txt"] == sides["1.txt"]:
            assert built(dataset).state == "ready"
            continue
        refused.append(built(dataset))
        assert examples(dataset) == []
    assert refused
    for dataset in refused:
        assert dataset.state == "failed"
        assert "say the same as training examples" in dataset.reason
        assert "“0.txt”" in dataset.reason or "“1.txt”" in dataset.reason


def test_a_build_without_a_base_model_is_one_sentence(firm: Firm, settings: Any, tmp_path: Any) -> None:
    dataset = waiting_dataset(firm, *(upload(firm, f"{n}.txt", brief(n)) for n in range(2)))
    settings.BASE_MODEL_DIR = tmp_path
    build_dataset()
    assert built(dataset).state == "failed"
    assert "The base model is not prepared yet" in built(dataset).reason
