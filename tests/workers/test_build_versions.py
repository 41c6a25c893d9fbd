"""What the build does with ready-made pairs, with what a version was made from, and when it is stopped."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conftest import Firm
from tests.factories import cite, ready_document
from tests.models import tiny_model_folder
from webapp.core.jobs import services as jobs
from webapp.core.jobs.models import Job, JobKind, JobState
from webapp.core.jobs.services import LeaseLost
from webapp.core.tenancy import firm_scope, tenant_scope
from webapp.datasets import selectors, services
from webapp.datasets.models import Dataset, Example
from webapp.documents import services as documents
from webapp.documents.models import Document
from webapp.findings import selectors as findings
from webapp.findings import services as desk
from workers.tasks.build_dataset import _build, build_dataset
from workers.tasks.extract_document import extract_document
from workers.tasks.run_job import Held, JobCancelled

pytestmark = pytest.mark.django_db(transaction=True)

JANE = "jane.roe@example.com"


@pytest.fixture(autouse=True)
def base_model(settings: Any) -> None:
    settings.BASE_MODEL_DIR = tiny_model_folder()


def upload(firm: Firm, lines: list[dict[str, Any]]) -> Document:
    data = "\n".join(map(json.dumps, lines)).encode()
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        document = documents.upload(member=firm.alice, name="pairs.jsonl", data=data)
    extract_document()
    return document


def build(firm: Firm, *chosen: Document) -> Dataset:
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        made = services.create(member=firm.alice, name="Pairs", document_ids=[row.id for row in chosen])
    build_dataset()
    return fresh(made)


def fresh(dataset: Dataset) -> Dataset:
    with firm_scope(dataset.tenant_id):
        return selectors.dataset(dataset.tenant_id, dataset.id)


def rows(dataset: Dataset) -> list[Example]:
    with firm_scope(dataset.tenant_id):
        return list(selectors.examples(dataset))


def pairs(count: int, **said: Any) -> list[dict[str, Any]]:
    return [{"prompt": f"Question {n}?", "completion": f"Answer {n}.", **said} for n in range(count)]


def test_an_address_in_a_pair_is_kept_from_examples_until_it_is_accepted(firm: Firm) -> None:
    document = upload(firm, [*pairs(8), {"prompt": f"Who is {JANE}?", "completion": f"It is {JANE}."}])
    first = build(firm, document)
    said = [row.prompt + row.completion for row in rows(first)]
    assert not [text for text in said if JANE in text]
    assert "Who is [E-mail 1]?It is [E-mail 1]." in said
    told = [(row["kind"], row["state"], row["count"]) for row in first.report["findings"]]
    assert told == [("email", "open", 2)], "told once, though both sides are visited"
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        desk.decide(member=firm.alice, findings=findings.findings_of(document), decision="accepted")
    second = build(firm, document)
    assert f"Who is {JANE}?It is {JANE}." in [row.prompt + row.completion for row in rows(second)]
    assert len(rows(second)) == len(rows(first)) == 9


def test_a_table_whose_columns_were_just_chosen_is_looked_through(firm: Firm) -> None:
    """No scan of it has run yet: the build must not rely on one."""
    lines = [f"Question {n}?,Answer {n}." for n in range(8)]
    data = "\n".join(["asked,answered", f"Who?,{JANE}", *lines]).encode()
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        document = documents.upload(member=firm.alice, name="pairs.csv", data=data)
    extract_document()
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        document.refresh_from_db()
        documents.choose_columns(member=firm.alice, document=document, prompt="asked", completion="answered")
    made = build(firm, document)
    assert made.state == "ready", made.reason
    assert {row.completion for row in rows(made) if row.prompt == "Who?"} == {"[E-mail 1]"}


def test_pairs_that_are_all_on_one_side_are_one_sentence(firm: Firm) -> None:
    made = build(firm, upload(firm, pairs(6, split="train")))
    assert made.state == "failed"
    assert made.reason.startswith("No held out examples are among these ready-made pairs")
    assert rows(made) == []


def test_the_next_version_of_pairs_keeps_each_on_its_side_with_its_context(firm: Firm) -> None:
    context = [{"role": "system", "content": "You draft."}]
    made = build(firm, upload(firm, [*pairs(10), {**pairs(1)[0], "prompt": "And then?", "context": context}]))
    before = {row.prompt: row for row in rows(made)}
    dropped = next(row for row in before.values() if row.split == "train" and not row.context)
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        draft = services.exclude(member=firm.alice, dataset=made, position=dropped.position)
        services.freeze(member=firm.alice, draft=draft)
    build_dataset()
    version = fresh(draft)
    assert version.state == "ready", version.reason
    assert (version.train_examples, version.heldout_examples) == (
        made.train_examples - 1,
        made.heldout_examples,
    )
    after = {row.prompt: row for row in rows(version)}
    assert set(after) == set(before) - {dropped.prompt}
    for prompt, row in after.items():
        for name in ("split", "kind", "context", "completion", "prompt_tokens", "completion_tokens"):
            assert getattr(row, name) == getattr(before[prompt], name)
    assert after["And then?"].context == context
    with firm_scope(firm.tenant.id):
        assert services.verify(version)


def test_an_edited_example_is_counted_again_and_the_others_are_not(firm: Firm) -> None:
    made = build(firm, upload(firm, pairs(10)))
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        longer = "Answer 0, at very much greater length."
        first = rows(made)[0]
        draft = services.edit(
            member=firm.alice, dataset=made, position=0, prompt=first.prompt, completion=longer
        )
        services.freeze(member=firm.alice, draft=draft)
    build_dataset()
    edited, *others = rows(fresh(draft))
    assert edited.completion == longer
    assert edited.prompt_tokens == first.prompt_tokens
    assert edited.completion_tokens > first.completion_tokens
    assert [row.completion_tokens for row in others] == [row.completion_tokens for row in rows(made)[1:]]


def test_a_dataset_from_before_there_were_manifests_can_still_be_changed(firm: Firm) -> None:
    chosen = [ready_document(firm, by=firm.alice) for _ in range(2)]
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        old = services.create(member=firm.alice, name="Old", document_ids=[row.id for row in chosen])
    claim = jobs.claim(JobKind.BUILD, worker="test")
    assert claim is not None
    left = services.Build(old, claim=claim)
    left.begin()
    with firm_scope(firm.tenant.id):
        sides = {part.split: part.document for part in selectors.parts(old)}
    for n in range(4):
        left.add(sides["train"], "train", cite(n), (0, 0))
    left.add(sides["heldout"], "heldout", cite(9), (0, 0))
    left.flush()
    with firm_scope(firm.tenant.id):
        jobs.finish(claim, JobState.SUCCEEDED)
        Dataset.objects.filter(id=old.id).update(sha256="0" * 64, train_examples=4, heldout_examples=1)
        old = selectors.dataset(firm.tenant.id, old.id)
        assert not services.verify(old)
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        draft = services.exclude(member=firm.alice, dataset=old, position=0)
        services.freeze(member=firm.alice, draft=draft)
    build_dataset()
    version = fresh(draft)
    assert version.state == "ready", version.reason
    assert all(row.prompt_tokens for row in rows(version)), "counted, since nobody had"
    with firm_scope(firm.tenant.id):
        assert services.verify(version)


class Stopped(Held):
    """Asks `stop` each time that the body asks whether it may go on."""

    def check(self) -> None:
        with firm_scope(self.claim.tenant_id):
            if Example.objects.filter(dataset_id=self.claim.object_id).exists():
                self.stop()
        super().check()

    def stop(self) -> None:
        self.cancelled.set()


class Taken(Stopped):
    """Somebody takes the job meanwhile, as the reaper and another worker do."""

    def stop(self) -> None:
        Job.objects.filter(id=self.claim.job_id).update(epoch=self.claim.epoch + 1)


@pytest.fixture
def halfway(firm: Firm, monkeypatch: Any) -> Dataset:
    """A waiting dataset of three files, whose rows are kept as they come."""
    monkeypatch.setattr("webapp.datasets.services.build.BATCH", 1)
    chosen = [
        upload(firm, [{"prompt": f"{at} {n}?", "completion": f"{n} {at}."} for n in range(8)]) for at in "abc"
    ]
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        return services.create(member=firm.alice, name="Pairs", document_ids=[row.id for row in chosen])


def test_a_build_that_is_cancelled_halfway_leaves_nothing(firm: Firm, halfway: Dataset) -> None:
    claim = jobs.claim(JobKind.BUILD, worker="test")
    assert claim is not None
    held = Stopped(claim)
    with pytest.raises(JobCancelled):
        _build(held)
    assert held.cancelled.is_set()
    assert rows(halfway) == []
    assert fresh(halfway).documents_done == 0


def test_a_build_whose_job_was_taken_halfway_stops_and_touches_nothing(firm: Firm, halfway: Dataset) -> None:
    claim = jobs.claim(JobKind.BUILD, worker="test")
    assert claim is not None
    with pytest.raises(LeaseLost):
        _build(Taken(claim))
    left = rows(halfway)
    assert left, "what was written belongs to the next worker, which begins by removing it"
    with firm_scope(firm.tenant.id):
        Job.objects.filter(id=claim.job_id).update(state=JobState.QUEUED)
    build_dataset()
    assert fresh(halfway).state == "ready"
    assert not {row.id for row in left} & {row.id for row in rows(halfway)}
    assert len(rows(halfway)) == 24


def test_progress_is_written_while_a_build_goes_on(firm: Firm, halfway: Dataset, monkeypatch: Any) -> None:
    monkeypatch.setattr("webapp.datasets.services.build.PROGRESS_SECONDS", 0)
    seen: list[tuple[int, bool]] = []

    class Watched(Held):
        def check(self) -> None:
            now = fresh(halfway)
            seen.append((now.documents_done, now.seconds_left is not None))

    claim = jobs.claim(JobKind.BUILD, worker="test")
    assert claim is not None
    _build(Watched(claim))
    assert seen[0] == (0, False)
    assert seen[-1] == (2, True)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert fresh(halfway).documents_done == 3
