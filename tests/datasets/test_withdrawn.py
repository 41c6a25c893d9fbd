"""A document that was withdrawn goes into no new version, and nothing new is trained on it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Firm
from tests.factories import cite, freeze, ready_document
from tests.models import tiny_model_folder
from webapp.audit.models import Event
from webapp.core.errors import Conflict, Invalid, NotAllowed
from webapp.core.tenancy import firm_scope, tenant_scope
from webapp.datasets import selectors, services
from webapp.datasets.models import Dataset
from webapp.documents import services as documents
from webapp.training import services as training
from workers.tasks.build_dataset import build_dataset

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def dataset(firm: Firm, settings: Any) -> Dataset:
    """Of ten documents; the first of each side gives all of its examples."""
    settings.BASE_MODEL_DIR = tiny_model_folder()
    chosen = [ready_document(firm, by=firm.alice) for _ in range(10)]
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        dataset = services.create(
            member=firm.alice,
            name="Briefs",
            document_ids=[row.id for row in chosen],
            heldout_share=0.2,
            max_tokens=200,
        )
        freeze(dataset, train=[cite(n) for n in range(1, 5)], heldout=[cite(n) for n in range(5, 8)])
    return dataset


def sides(dataset: Dataset) -> dict[str, str]:
    with firm_scope(dataset.tenant_id):
        return {part.document.name: part.split for part in selectors.parts(dataset)}


def withdraw(firm: Firm, dataset: Dataset, *names: str) -> None:
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        for part in selectors.parts(dataset).filter(document__name__in=names):
            documents.withdraw(member=firm.alice, document=part.document, reason="Under seal.")


def remake(firm: Firm, dataset: Dataset) -> Dataset:
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        version = services.without_withdrawn(member=firm.alice, dataset=dataset)
    build_dataset()
    with firm_scope(firm.tenant.id):
        return selectors.dataset(firm.tenant.id, version.id)


def test_the_next_version_is_the_same_without_it(firm: Firm, dataset: Dataset) -> None:
    before = sides(dataset)
    spare = [name for name, side in before.items() if side == "train"][-1]
    withdraw(firm, dataset, spare)
    version = remake(firm, dataset)
    assert (version.state, version.version, version.parent_id) == ("ready", 2, dataset.id)
    assert (version.heldout_share, version.max_tokens, version.name) == (0.2, 200, "Briefs")
    assert sides(version) == {name: side for name, side in before.items() if name != spare}
    assert version.manifest["parent_sha256"] == dataset.sha256
    assert version.manifest["examples_sha256"] == dataset.manifest["examples_sha256"]
    with firm_scope(firm.tenant.id):
        assert services.verify(version)
        event = Event.objects.get(action="dataset.remade")
    assert (event.object_id, event.actor) == (str(version.id), firm.alice.user.email)


def test_no_example_of_it_is_left(firm: Firm, dataset: Dataset) -> None:
    with firm_scope(firm.tenant.id):
        learned = selectors.examples(dataset, split="train")[0].document
    withdraw(firm, dataset, learned.name)
    version = remake(firm, dataset)
    assert version.state == "failed", "all that was learned came from that document"
    assert version.reason.startswith("No training examples would be left in this version")
    with firm_scope(firm.tenant.id):
        assert not selectors.examples(version).exists()


def test_a_side_that_would_be_empty_is_drawn_again(firm: Firm, dataset: Dataset) -> None:
    heldout = [name for name, side in sides(dataset).items() if side == "heldout"]
    withdraw(firm, dataset, *heldout)
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        version = services.without_withdrawn(member=firm.alice, dataset=dataset)
    assert set(sides(version).values()) == {"train", "heldout"}
    assert not set(heldout) & set(sides(version))


def test_too_little_left_is_one_sentence_more(firm: Firm, dataset: Dataset) -> None:
    withdraw(firm, dataset, *list(sides(dataset))[1:])
    with (
        tenant_scope(firm.tenant.id, viewer=firm.alice.id),
        pytest.raises(Invalid, match="Too little is left without what was withdrawn"),
    ):
        services.without_withdrawn(member=firm.alice, dataset=dataset)


def test_there_must_be_something_withdrawn_and_a_right_to_build(firm: Firm, dataset: Dataset) -> None:
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        with pytest.raises(Conflict, match="No document of this dataset was withdrawn"):
            services.without_withdrawn(member=firm.alice, dataset=dataset)
        with pytest.raises(NotAllowed):
            services.without_withdrawn(member=firm.erin, dataset=dataset)


def test_a_draft_that_holds_it_is_not_frozen(firm: Firm, dataset: Dataset) -> None:
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        draft = services.exclude(member=firm.alice, dataset=dataset, position=1)
    name = next(iter(sides(dataset)))
    withdraw(firm, dataset, name)
    with (
        tenant_scope(firm.tenant.id, viewer=firm.alice.id),
        pytest.raises(Conflict, match=f"“{name}” was withdrawn"),
    ):
        services.freeze(member=firm.alice, draft=draft)


def test_nothing_is_trained_on_it_any_more(firm: Firm, dataset: Dataset) -> None:
    name = next(iter(sides(dataset)))
    withdraw(firm, dataset, name)
    with (
        tenant_scope(firm.tenant.id, viewer=firm.alice.id),
        pytest.raises(Invalid, match=f"“{name}” of this dataset was withdrawn"),
    ):
        training.start(member=firm.alice, dataset=dataset, adapter_name="briefs")
