"""Who may do what to a dataset, and what the audit log says of it afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.conftest import Firm
from tests.factories import cite, end_job, freeze, ready_document
from webapp.audit.models import Event
from webapp.core.errors import NotAllowed
from webapp.core.jobs.models import JobState
from webapp.core.tenancy import firm_scope, tenant_scope
from webapp.datasets import selectors, services
from webapp.datasets.models import Dataset
from webapp.documents import services as documents
from webapp.tenants.models import Membership

pytestmark = pytest.mark.django_db


@dataclass
class Made:
    """A frozen dataset with a draft, one of whose changes is in place; and another that nothing came of."""

    dataset: Dataset
    draft: Dataset
    unused: Dataset


@pytest.fixture
def made(firm: Firm) -> Made:
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        dataset, unused = frozen(firm), frozen(firm)
        draft = services.exclude(member=firm.alice, dataset=dataset, position=0)
        return Made(dataset, draft, unused)


def frozen(firm: Firm) -> Dataset:
    chosen = [ready_document(firm, by=firm.alice) for _ in range(4)]
    dataset = services.create(member=firm.alice, name="Briefs", document_ids=[row.id for row in chosen])
    freeze(dataset, train=[cite(n) for n in range(3)], heldout=[cite(n) for n in range(3, 6)])
    return dataset


def create(by: Membership, made: Made) -> Dataset:
    ids = [part.document_id for part in selectors.parts(made.dataset)]
    return services.create(member=by, name="Again", document_ids=ids)


def reopen(by: Membership, made: Made) -> Dataset:
    alice = made.draft.created_by
    services.freeze(member=alice, draft=made.draft)
    end_job(made.draft.job, JobState.FAILED, "The base model is away.")
    return services.reopen(member=by, dataset=made.draft)


def remake(by: Membership, made: Made) -> Dataset:
    alice = made.draft.created_by
    alice.tenant = made.draft.tenant
    gone = selectors.parts(made.unused).filter(split="train")[0].document
    documents.withdraw(member=alice, document=gone, reason="Under seal.")
    return services.without_withdrawn(member=by, dataset=made.unused)


ACTIONS: dict[str, tuple[str, Callable[[Membership, Made], Any]]] = {
    "make": ("dataset.created", create),
    "exclude": (
        "dataset.example_excluded",
        lambda by, made: services.exclude(member=by, dataset=made.draft, position=1),
    ),
    "edit": (
        "dataset.example_edited",
        lambda by, made: services.edit(
            member=by, dataset=made.draft, position=1, prompt="Cite it.", completion="1 U. S. 2."
        ),
    ),
    "undo": (
        "dataset.change_undone",
        lambda by, made: services.undo(member=by, draft=made.draft, position=0),
    ),
    "begin a draft": (
        "dataset.draft_begun",
        lambda by, made: services.open_draft(member=by, dataset=made.unused),
    ),
    "freeze": ("dataset.frozen", lambda by, made: services.freeze(member=by, draft=made.draft)),
    "reopen": ("dataset.draft_reopened", reopen),
    "discard": ("dataset.deleted", lambda by, made: services.discard(member=by, draft=made.draft)),
    "delete": ("dataset.deleted", lambda by, made: services.delete(member=by, dataset=made.unused)),
    "export": ("dataset.exported", lambda by, made: services.note_export(member=by, dataset=made.dataset)),
    "make without what was withdrawn": ("dataset.remade", remake),
}
MAY = {"alice": True, "bob": True, "dora": True, "erin": False}  # staff, approver, admin, auditor


@pytest.mark.parametrize("who", MAY)
@pytest.mark.parametrize("action", ACTIONS)
def test_all_but_auditors_may_and_it_is_told_who_did(firm: Firm, made: Made, action: str, who: str) -> None:
    event, act = ACTIONS[action]
    member: Membership = getattr(firm, who)
    before = told(firm, event)
    with tenant_scope(firm.tenant.id, viewer=member.id):
        if MAY[who]:
            act(member, made)
        else:
            with pytest.raises(NotAllowed):
                act(member, made)
    assert told(firm, event) == before + [member.user.email] * MAY[who]


def told(firm: Firm, event: str) -> list[str]:
    """Who did it, in order, as the log has it."""
    with firm_scope(firm.tenant.id):
        return list(Event.objects.filter(action=event).order_by("number").values_list("actor", flat=True))
