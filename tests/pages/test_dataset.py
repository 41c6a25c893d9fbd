"""A dataset's page: its examples by position, filters, changes over them; as quick when it is large."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.conftest import Firm
from tests.factories import cite, freeze, ready_dataset, ready_document
from webapp.core.tenancy import firm_scope, tenant_scope
from webapp.datasets import selectors, services
from webapp.datasets.examples import NewExample
from webapp.datasets.models import Dataset
from webapp.datasets.views.datasets import EXAMPLES_A_PAGE
from webapp.documents import services as documents

pytestmark = pytest.mark.django_db

SignIn = Callable[..., Client]
SHOWN = re.compile(r'id="example-(\d+)"')


def frozen(firm: Firm, *, train: int, heldout: int) -> Dataset:
    """A frozen dataset of so many examples; every third to train on is no citation."""
    chosen = [ready_document(firm, by=firm.alice) for _ in range(2)]
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        dataset = services.create(member=firm.alice, name="Briefs", document_ids=[row.id for row in chosen])
        freeze(
            dataset,
            train=[example(n) for n in range(train)],
            heldout=[cite(10**6 + n) for n in range(heldout)],
        )
    return dataset


def example(number: int) -> NewExample:
    return (
        NewExample("continue", f"So far {number}.", f"It went on {number}.")
        if number % 3 == 2
        else cite(number)
    )


def shown(page: str) -> list[int]:
    return [int(position) for position in SHOWN.findall(page)]


def get(client: Client, dataset: Dataset, query: str = "") -> str:
    answer = client.get(f"/datasets/{dataset.id}/{query}")
    assert answer.status_code == 200
    return answer.content.decode()


def queries(client: Client, dataset: Dataset, query: str = "") -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        get(client, dataset, query)
    return [query["sql"] for query in captured.captured_queries]


@pytest.mark.parametrize("query", ["", "?after=700", "?split=heldout&kind=cite", "?q=went+on"])
def test_a_large_dataset_costs_no_more_queries_than_a_small_one(
    firm: Firm, signed_in: SignIn, query: str
) -> None:
    client = signed_in(firm.alice)
    small, large = (frozen(firm, train=train, heldout=train // 10) for train in (1820, 18_200))
    asked = queries(client, large, query)
    assert len(asked) == len(queries(client, small, query)) <= 30
    assert not [sql for sql in asked if "COUNT(" in sql and '"datasets_example"' in sql]


def test_pages_follow_each_other_without_a_gap(firm: Firm, signed_in: SignIn) -> None:
    dataset, client = frozen(firm, train=21, heldout=4), signed_in(firm.alice)
    seen: list[int] = []
    query = ""
    while True:
        page = get(client, dataset, query)
        seen += shown(page)
        following = re.search(r'rel="next" href="(\?after=\d+)', page)
        if following is None:
            break
        query = following[1]
    assert seen == list(range(25))
    back = re.search(r'rel="prev" href="(\?before=\d+)', page)
    assert back is not None
    assert shown(get(client, dataset, back[1])) == list(range(10, 20))
    first = get(client, dataset)
    assert 'rel="prev"' not in first and "1 to 10 of 25" in first


def test_one_side_one_kind_and_words_can_be_asked_for(firm: Firm, signed_in: SignIn) -> None:
    dataset, client = frozen(firm, train=9, heldout=4), signed_in(firm.alice)
    assert shown(get(client, dataset, "?split=heldout")) == [9, 10, 11, 12]
    other = get(client, dataset, "?kind=continue")
    assert shown(other) == [2, 5, 8]
    assert "3 of 13" in other
    assert shown(get(client, dataset, "?split=heldout&kind=continue")) == []
    assert shown(get(client, dataset, "?q=WENT+on+5")) == [5]
    assert "No example has these words." in get(client, dataset, "?q=%25")


@pytest.mark.parametrize("query", ["?after=x", "?after=-1", f"?after={'9' * 5000}", "?split=x&kind=x&q=%00"])
def test_a_query_that_nobody_meant_harms_nothing(firm: Firm, signed_in: SignIn, query: str) -> None:
    dataset = ready_dataset(firm, by=firm.alice)
    get(signed_in(firm.alice), dataset, query)


def test_a_change_begins_a_draft_that_shows_it_over_the_version(firm: Firm, signed_in: SignIn) -> None:
    dataset, client = frozen(firm, train=12, heldout=2), signed_in(firm.alice)
    answer = client.post(f"/datasets/{dataset.id}/examples/3/exclude/", {"back": "after=1"})
    with firm_scope(firm.tenant.id):
        draft = selectors.versions(dataset)[0]
    assert answer["Location"] == f"/datasets/{draft.id}/?after=1#example-3"
    typed = {"prompt": "Cite\r\nit.", "completion": "See 1 U. S. 2."}
    client.post(f"/datasets/{draft.id}/examples/4/edit/", typed)
    page = get(client, draft)
    assert "2 examples of Briefs are changed" in page
    assert "<strong>Excluded</strong> by Alice" in page and "<strong>Edited</strong> by Alice" in page
    assert f"<s>{cite(3).completion}</s>" in page
    assert "See 1 U. S. 2." in page and "Cite\nit." in page
    assert shown(get(client, draft, "?changed=1")) == [3, 4]
    assert "a draft of version 2" in get(client, dataset)
    assert "See 1 U. S. 2." not in get(client, dataset)


def test_an_edit_without_words_is_told_and_what_was_typed_stays(firm: Firm, signed_in: SignIn) -> None:
    dataset, client = ready_dataset(firm, by=firm.alice), signed_in(firm.alice)
    answer = client.post(
        f"/datasets/{dataset.id}/examples/0/edit/", {"prompt": "Kept as typed", "completion": " "}
    )
    page = answer.content.decode()
    assert "This side must have words" in page and "Kept as typed" in page
    with firm_scope(firm.tenant.id):
        assert selectors.versions(dataset).count() == 1, "no draft is begun by what was refused"


def test_a_draft_is_undone_discarded_or_frozen_by_its_buttons(firm: Firm, signed_in: SignIn) -> None:
    dataset, client = frozen(firm, train=12, heldout=2), signed_in(firm.alice)
    client.post(f"/datasets/{dataset.id}/examples/3/exclude/")
    with firm_scope(firm.tenant.id):
        draft = selectors.versions(dataset)[0]
    client.post(f"/datasets/{draft.id}/examples/3/undo/")
    page = get(client, draft)
    assert "Nothing is changed yet" in page and "/freeze/" not in page
    client.post(f"/datasets/{draft.id}/freeze/")
    assert "Nothing is changed in this draft yet" in get(client, draft)
    assert client.post(f"/datasets/{draft.id}/discard/")["Location"] == f"/datasets/{dataset.id}/"
    assert client.get(f"/datasets/{draft.id}/").status_code == 404
    client.post(f"/datasets/{dataset.id}/examples/3/exclude/")
    with firm_scope(firm.tenant.id):
        draft = selectors.versions(dataset)[0]
    client.post(f"/datasets/{draft.id}/freeze/")
    with firm_scope(firm.tenant.id):
        assert selectors.dataset(firm.tenant.id, draft.id).state == "queued"


@pytest.mark.parametrize(
    "path", ["examples/0/exclude/", "examples/0/edit/", "examples/0/undo/", "freeze/", "discard/", "without/"]
)
def test_an_auditor_reads_and_changes_nothing(firm: Firm, signed_in: SignIn, path: str) -> None:
    dataset, client = ready_dataset(firm, by=firm.alice), signed_in(firm.erin)
    page = get(client, dataset)
    assert "Exclude" not in page and "Edit" not in page and "export.jsonl" not in page
    assert client.post(f"/datasets/{dataset.id}/{path}").status_code == 403
    assert client.get(f"/datasets/{dataset.id}/export.jsonl").status_code == 403


def test_a_withdrawn_document_is_told_and_a_version_without_it_is_one_button(
    firm: Firm, signed_in: SignIn
) -> None:
    client = signed_in(firm.alice)
    chosen = [ready_document(firm, by=firm.alice) for _ in range(4)]
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        dataset = services.create(member=firm.alice, name="Briefs", document_ids=[row.id for row in chosen])
        freeze(dataset, train=[cite(1)], heldout=[cite(2)])
        gone = selectors.parts(dataset).filter(split="train")[0].document
        documents.withdraw(member=firm.alice, document=gone, reason="Under seal.")
    page = get(client, dataset)
    assert f"“{gone.name}” was withdrawn since" in page and "Train on this" not in page
    answer = client.post(f"/datasets/{dataset.id}/without/")
    with firm_scope(firm.tenant.id):
        version = selectors.versions(dataset)[0]
        assert gone.id not in set(selectors.parts(version).values_list("document_id", flat=True))
    assert answer["Location"] == f"/datasets/{version.id}/"
    assert "Versions" in get(client, version)


def test_a_build_says_how_far_it_is(firm: Firm, signed_in: SignIn) -> None:
    from webapp.core.jobs import services as jobs
    from webapp.core.jobs.models import JobKind

    chosen = [ready_document(firm, by=firm.alice) for _ in range(4)]
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        dataset = services.create(member=firm.alice, name="Briefs", document_ids=[row.id for row in chosen])
    claim = jobs.claim(JobKind.BUILD, worker="test")
    assert claim is not None
    build = services.Build(dataset, claim=claim)
    build.report_progress(documents_done=3, share=0.75)
    build.flush()
    page = get(signed_in(firm.alice), dataset)
    assert "3 of 4 documents" in page and "a few seconds left" in page
    assert '<progress max="4" value="3"' in page and 'hx-trigger="every 1s"' in page


def test_all_documents_of_a_dataset_have_a_page_of_their_own(firm: Firm, signed_in: SignIn) -> None:
    chosen = [ready_document(firm, by=firm.alice) for _ in range(EXAMPLES_A_PAGE + 2)]
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        dataset = services.create(member=firm.alice, name="Briefs", document_ids=[row.id for row in chosen])
    client: Any = signed_in(firm.alice)
    assert "All 12 documents" in get(client, dataset)
    page = client.get(f"/datasets/{dataset.id}/documents/").content.decode()
    assert all(document.name in page for document in chosen)
