"""Changes to a frozen dataset are gathered in a draft; freezing it makes the next version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import Firm
from tests.factories import cite, freeze, ready_document
from tests.models import tiny_model_folder
from webapp.audit.models import Event
from webapp.core.errors import Conflict, Invalid, NotAllowed, NotFound
from webapp.core.tenancy import firm_scope, tenant_scope
from webapp.datasets import selectors, services
from webapp.datasets.models import Dataset
from workers.tasks.build_dataset import build_dataset

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def dataset(firm: Firm, settings: Any) -> Dataset:
    """Four examples to train on and two held out."""
    settings.BASE_MODEL_DIR = tiny_model_folder()
    chosen = [ready_document(firm, by=firm.alice) for _ in range(2)]
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        dataset = services.create(member=firm.alice, name="Briefs", document_ids=[row.id for row in chosen])
        freeze(dataset, train=[cite(n) for n in range(1, 5)], heldout=[cite(n) for n in range(5, 7)])
    return dataset


def said(firm: Firm, dataset: Dataset) -> list[tuple[int, str, str]]:
    with firm_scope(firm.tenant.id):
        return [(row.position, row.split, row.completion) for row in selectors.examples(dataset)]


def fresh(firm: Firm, dataset: Dataset) -> Dataset:
    with firm_scope(firm.tenant.id):
        return selectors.dataset(firm.tenant.id, dataset.id)


def test_a_draft_becomes_the_next_version_and_its_parent_stays_as_it_is(firm: Firm, dataset: Dataset) -> None:
    before = said(firm, dataset)
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        draft = services.exclude(member=firm.alice, dataset=dataset, position=1)
        services.edit(
            member=firm.alice, dataset=draft, position=4, prompt="Cite it.", completion="540 U. S. 1."
        )
        assert (draft.state, draft.version, draft.parent_id) == ("draft", 2, dataset.id)
        services.freeze(member=firm.alice, draft=draft)
    build_dataset()
    version = fresh(firm, draft)
    assert version.state == "ready"
    assert str(version) == "Briefs v2"
    assert (version.train_examples, version.heldout_examples) == (3, 2)
    assert said(firm, version) == [
        (0, "train", before[0][2]),
        (1, "train", before[2][2]),
        (2, "train", before[3][2]),
        (3, "heldout", "540 U. S. 1."),
        (4, "heldout", before[5][2]),
    ]
    assert said(firm, dataset) == before
    assert version.manifest["parent_sha256"] == dataset.sha256
    with firm_scope(firm.tenant.id):
        assert services.verify(version) and services.verify(dataset)


def test_changing_a_version_again_goes_on_with_its_draft(firm: Firm, dataset: Dataset) -> None:
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        first = services.exclude(member=firm.alice, dataset=dataset, position=0)
        second = services.exclude(member=firm.bob, dataset=dataset, position=1)
        assert first.id == second.id
        changes = {(row.example.position, row.changed_by_id) for row in selectors.changes(first)}
    assert changes == {(0, firm.alice.id), (1, firm.bob.id)}


def test_an_undone_change_and_an_edit_to_the_same_words_are_none(firm: Firm, dataset: Dataset) -> None:
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        draft = services.exclude(member=firm.alice, dataset=dataset, position=0)
        services.undo(member=firm.alice, draft=draft, position=0)
        row = selectors.example(draft, 1)
        services.edit(
            member=firm.alice, dataset=draft, position=1, prompt=row.prompt, completion=row.completion
        )
        assert not selectors.changes(draft).exists()
        with pytest.raises(Conflict, match="Nothing is changed"):
            services.freeze(member=firm.alice, draft=draft)


def test_a_discarded_draft_leaves_the_version_alone(firm: Firm, dataset: Dataset) -> None:
    before = said(firm, dataset)
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        draft = services.exclude(member=firm.alice, dataset=dataset, position=0)
        services.discard(member=firm.alice, draft=draft)
        with pytest.raises(NotFound):
            selectors.dataset(firm.tenant.id, draft.id)
        with pytest.raises(Conflict, match="no draft"):
            services.discard(member=firm.alice, draft=dataset)
    assert said(firm, dataset) == before


def test_a_side_of_the_split_is_never_emptied(firm: Firm, dataset: Dataset) -> None:
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        for position in (4, 5):
            draft = services.exclude(member=firm.alice, dataset=dataset, position=position)
        with pytest.raises(Conflict, match="No held out example would be left"):
            services.freeze(member=firm.alice, draft=draft)


@pytest.mark.parametrize(
    ("prompt", "completion"), [("", "x"), ("x", "  "), ("a\0b", "x"), ("x" * 40_001, "x")]
)
def test_a_side_without_words_or_with_too_many_is_refused(
    firm: Firm, dataset: Dataset, prompt: str, completion: str
) -> None:
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id), pytest.raises(Invalid) as refused:
        services.edit(member=firm.alice, dataset=dataset, position=0, prompt=prompt, completion=completion)
    assert len(refused.value.fields) == 1


def test_a_version_with_a_later_one_stays(firm: Firm, dataset: Dataset) -> None:
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        services.exclude(member=firm.alice, dataset=dataset, position=0)
        with pytest.raises(Conflict, match="later version or a draft"):
            services.delete(member=firm.alice, dataset=dataset)


def test_who_changed_what_is_in_the_log_and_no_words_are(firm: Firm, dataset: Dataset) -> None:
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        draft = services.edit(
            member=firm.alice, dataset=dataset, position=0, prompt="Q", completion="Secret words"
        )
        services.exclude(member=firm.alice, dataset=draft, position=1)
    with firm_scope(firm.tenant.id):
        events = list(Event.objects.filter(action__startswith="dataset.").order_by("number"))
    actions = [event.action for event in events]
    assert actions[-3:] == ["dataset.draft_begun", "dataset.example_edited", "dataset.example_excluded"]
    assert "Secret" not in str([event.data for event in events])


def test_staff_approvers_and_admins_may_change_a_dataset(firm: Firm, dataset: Dataset) -> None:
    for member in (firm.alice, firm.bob, firm.dora):
        with tenant_scope(firm.tenant.id, viewer=member.id):
            services.exclude(member=member, dataset=dataset, position=0)


@pytest.mark.parametrize("action", ["exclude", "undo", "freeze", "discard"])
def test_an_auditor_may_not(firm: Firm, dataset: Dataset, action: str) -> None:
    with tenant_scope(firm.tenant.id, viewer=firm.erin.id):
        draft = services.exclude(member=firm.alice, dataset=dataset, position=0)
        actions: dict[str, Callable[[], Any]] = {
            "exclude": lambda: services.exclude(member=firm.erin, dataset=dataset, position=0),
            "undo": lambda: services.undo(member=firm.erin, draft=draft, position=0),
            "freeze": lambda: services.freeze(member=firm.erin, draft=draft),
            "discard": lambda: services.discard(member=firm.erin, draft=draft),
        }
        with pytest.raises(NotAllowed):
            actions[action]()
