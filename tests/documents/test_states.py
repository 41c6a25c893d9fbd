"""A document's state, as Python says it and as the database does."""

from __future__ import annotations

import pytest

from tests.conftest import Firm
from tests.documents.test_columns import table_document
from tests.factories import end_job, ready_document
from webapp.core.jobs.models import Job, JobState
from webapp.core.tenancy import tenant_scope
from webapp.documents import selectors, services
from webapp.documents.layout import Layout
from webapp.documents.models import Document


def archive_document(firm: Firm) -> Document:
    def record() -> None:
        services.record_text(document=document, layout=Layout(()), pages=1, kind="zip")

    with tenant_scope(firm.tenant.id):
        document = services.upload(member=firm.alice, name="a.zip", data=b"PK")
        end_job(document.job, record=record)
    return document


def in_state(firm: Firm, state: str) -> Document:
    if state == "columns":
        return table_document(firm)
    if state == "opened":
        return archive_document(firm)
    document = ready_document(firm)
    with tenant_scope(firm.tenant.id):
        if state == "withdrawn":
            services.withdraw(member=firm.alice, document=document, reason="Not ours.")
        elif state != "ready":
            job_state = {"queued": JobState.QUEUED, "reading": JobState.RUNNING, "refused": JobState.FAILED}
            Job.objects.filter(id=document.job_id).update(state=job_state[state])
    return document


def one_of_each(firm: Firm) -> dict[str, Document]:
    """Those whose jobs go on come last: a test's worker ends whatever waits."""
    in_work = ("reading", "queued")
    order = [*(state for state in selectors.STATES if state not in in_work), *in_work]
    return {state: in_state(firm, state) for state in order}


def test_page_and_database_say_the_same(firm: Firm) -> None:
    documents = one_of_each(firm)
    with tenant_scope(firm.tenant.id):
        for state, document in documents.items():
            assert selectors.document(firm.tenant.id, document.id).state == state
            assert list(selectors.listed(firm.tenant.id, state=state)) == [document]
        counted = selectors.counts(firm.tenant.id)
        assert {name: counted[name] for name in selectors.STATES} == dict.fromkeys(selectors.STATES, 1)
        assert (counted["unsettled"], counted["all"]) == (2, len(documents))


@pytest.mark.parametrize("state", [JobState.ERRORED, JobState.CANCELLED], ids=lambda state: str(state))
def test_whatever_ended_otherwise_is_refused(firm: Firm, state: JobState) -> None:
    document = ready_document(firm)
    with tenant_scope(firm.tenant.id):
        Job.objects.filter(id=document.job_id).update(state=state)
        assert selectors.document(firm.tenant.id, document.id).state == "refused"
        assert list(selectors.listed(firm.tenant.id, state="refused")) == [document]


def test_only_what_is_ready_is_offered_to_datasets(firm: Firm) -> None:
    documents = one_of_each(firm)
    with tenant_scope(firm.tenant.id):
        assert list(selectors.ready(firm.tenant.id)) == [documents["ready"]]
        everything = [document.id for document in documents.values()]
        assert list(selectors.ready(firm.tenant.id, everything)) == [documents["ready"]]
        assert not selectors.ready(firm.tenant.id, [documents["withdrawn"].id]).exists()
