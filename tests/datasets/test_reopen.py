"""A draft whose build failed is not lost: it is taken up again with its changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests.conftest import Firm
from tests.factories import cite, freeze, ready_document
from tests.models import tiny_model_folder
from webapp.core.errors import Conflict
from webapp.core.jobs.models import Job
from webapp.core.tenancy import firm_scope, tenant_scope
from webapp.datasets import selectors, services
from webapp.datasets.models import Dataset
from workers.tasks.build_dataset import build_dataset

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def failed(firm: Firm, settings: Any, tmp_path: Any) -> Dataset:
    """Version 2, which leaves one example out and could not be built for want of a base model."""
    chosen = [ready_document(firm, by=firm.alice) for _ in range(2)]
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        dataset = services.create(member=firm.alice, name="Briefs", document_ids=[row.id for row in chosen])
        freeze(dataset, train=[cite(n) for n in range(1, 5)], heldout=[cite(n) for n in range(5, 7)])
        draft = services.exclude(member=firm.alice, dataset=dataset, position=1)
        services.freeze(member=firm.alice, draft=draft)
    settings.BASE_MODEL_DIR = tmp_path
    build_dataset()
    settings.BASE_MODEL_DIR = tiny_model_folder()
    return fresh(draft)


def fresh(dataset: Dataset) -> Dataset:
    with firm_scope(dataset.tenant_id):
        return selectors.dataset(dataset.tenant_id, dataset.id)


def test_its_changes_are_still_there_and_it_is_frozen_as_the_same_version(
    firm: Firm, failed: Dataset
) -> None:
    assert failed.state == "failed"
    with tenant_scope(firm.tenant.id, viewer=firm.bob.id):
        draft = services.reopen(member=firm.bob, dataset=failed)
        assert (draft.state, draft.version) == ("draft", 2)
        assert failed.job is not None and not Job.objects.filter(id=failed.job.id).exists()
        services.exclude(member=firm.bob, dataset=draft, position=0)
        services.freeze(member=firm.bob, draft=draft)
    build_dataset()
    version = fresh(draft)
    assert (version.state, version.version) == ("ready", 2), version.reason
    assert (version.train_examples, version.heldout_examples) == (2, 2)


def test_the_page_of_what_failed_offers_it(
    firm: Firm, failed: Dataset, signed_in: Callable[..., Client]
) -> None:
    client = signed_in(firm.alice)
    assert "Go on with the draft" in client.get(f"/datasets/{failed.id}/").content.decode()
    assert "Go on with the draft" not in signed_in(firm.erin).get(f"/datasets/{failed.id}/").content.decode()
    answer = client.post(f"/datasets/{failed.id}/reopen/", follow=True)
    assert "1 example of Briefs is changed" in answer.content.decode()
    answer = client.post(f"/datasets/{failed.id}/reopen/", follow=True)
    assert "Only a draft that could not be built can be taken up again." in answer.content.decode()


def test_not_while_the_family_has_another_draft(firm: Firm, failed: Dataset) -> None:
    assert failed.parent is not None
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        services.exclude(member=firm.alice, dataset=failed.parent, position=2)
        with pytest.raises(Conflict, match="Another draft has been begun"):
            services.reopen(member=firm.alice, dataset=failed)


def test_only_what_failed_and_was_a_draft(firm: Firm, failed: Dataset) -> None:
    assert failed.parent is not None
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        ids = [part.document_id for part in selectors.parts(failed)]
        queued = services.create(member=firm.alice, name="Other", document_ids=ids)
        for dataset in (failed.parent, queued):
            with pytest.raises(Conflict, match="Only a draft that could not be built"):
                services.reopen(member=firm.alice, dataset=dataset)
