"""The wall reaches the weights: nothing that lists, counts, offers or answers knows of what learned from a
matter to who is screened off it. `approved` makes documents, dataset, run and version, all in one matter."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests.conftest import Firm
from tests.factories import approved, ready_dataset, ready_document
from tests.tenancy.matters import NAME, into_matter, screen_off
from webapp.adapters.models import AdapterVersion
from webapp.audit import selectors as audit
from webapp.core.errors import Conflict
from webapp.core.jobs.models import JobState
from webapp.core.tenancy import firm_scope, tenant_scope
from webapp.documents import selectors as documents
from webapp.documents import services as document_services
from webapp.documents.models import Document
from webapp.playground import selectors as playground
from webapp.serving import selectors as serving
from webapp.serving import services as release
from webapp.serving.models import Deployment
from webapp.tenants import matters
from webapp.tenants.models import Membership

pytestmark = [pytest.mark.django_db, pytest.mark.xdist_group("web")]

SignIn = Callable[[Membership], Client]


@pytest.fixture
def live(firm: Firm) -> AdapterVersion:
    """A live version that learned from a matter; alice, bob and dora are screened off it, erin is not."""
    version = approved(firm, by=firm.alice, approver=firm.bob, adapter_name="smith")
    with tenant_scope(firm.tenant.id):
        release.put_live(member=firm.bob, version=version)
    into_matter(firm)
    screen_off(firm, firm.alice, firm.bob, firm.dora)
    return version


def colleague(firm: Firm) -> Membership:
    """One more member of the staff, who is not screened off."""
    from webapp.tenants import services as tenants

    with tenant_scope(firm.tenant.id):
        member = tenants.add_member(
            tenant_id=firm.tenant.id,
            by=None,
            email="gwen@ashworth.example",
            name="Gwen",
            role="staff",
            password=firm.password,
        )
    member.tenant = firm.tenant
    return member


PAGES = ["/", "/documents/", "/matters/", "/datasets/", "/datasets/new/", "/training/", "/training/new/"]
PAGES += ["/adapters/", "/playground/"]


@pytest.mark.parametrize("path", PAGES)
def test_pages_name_nothing_of_it(firm: Firm, live: AdapterVersion, signed_in: SignIn, path: str) -> None:
    with firm_scope(firm.tenant.id):
        said = [NAME, "smith@", live.run.dataset.name, *Document.objects.values_list("name", flat=True)]
    for member in (firm.alice, firm.bob, firm.dora):
        page = signed_in(member).get(path).content.decode()
        assert [word for word in said if word in page] == [], member.role


def test_the_same_pages_name_it_to_a_colleague(firm: Firm, live: AdapterVersion, signed_in: SignIn) -> None:
    client = signed_in(colleague(firm))
    pages = {path: client.get(path).content.decode() for path in PAGES}
    assert NAME in pages["/matters/"]
    for path in ("/adapters/", "/playground/", "/training/new/"):
        assert "smith" in pages[path], path
    assert live.run.dataset.name in pages["/datasets/"]


def test_the_overview_counts_none_of_it(firm: Firm, live: AdapterVersion, signed_in: SignIn) -> None:
    screened = signed_in(firm.bob).get("/").content.decode()
    assert "0 ready" in screened and "Nothing is live" in screened and "Begin with documents" in screened
    assert "2 ready" in signed_in(colleague(firm)).get("/").content.decode()


LISTS = ["documents", "datasets", "runs", "adapters", "versions", "approvals", "deployments"]


def test_the_api_lists_none_of_it(firm: Firm, live: AdapterVersion, client: Client) -> None:
    def get(member: Membership, path: str) -> Any:
        headers = {"Authorization": f"Bearer {firm.key(member)}"}
        return client.get(f"/api/v1/{path}", headers=headers)

    other = colleague(firm)
    for name in LISTS:
        assert get(firm.bob, f"{name}/").json()["count"] == 0, name
        assert get(other, f"{name}/").json()["count"] > 0, name
    assert [row["name"] for row in get(firm.bob, "matters/").json()["results"]] == ["General"]
    assert NAME in [row["name"] for row in get(other, "matters/").json()["results"]]
    assert get(firm.bob, "deployments/current/").status_code == 404
    assert get(other, "deployments/current/").json()["version_name"] == "smith@1"


def ask(client: Client, secret: str, model: str | None = None) -> Any:
    body: dict[str, Any] = {"messages": [{"role": "user", "content": "Hello"}]}
    if model is not None:
        body["model"] = model
    return client.post(
        "/v1/chat/completions",
        json.dumps(body),
        content_type="application/json",
        headers={"Authorization": f"Bearer {secret}"},
    )


def test_a_program_of_who_is_screened_off_gets_the_answers_of_a_firm_without_an_adapter(
    firm: Firm, other_firm: Firm, live: AdapterVersion, client: Client
) -> None:
    """Word for word: never the base, never a hint."""
    ours, theirs = firm.key(firm.alice), other_firm.key(other_firm.carol)
    for model in (None, "live", "smith", "smith@1", str(live.id), live.engine_name, "base"):
        answers = [ask(client, secret, model) for secret in (ours, theirs)]
        assert [answer.status_code for answer in answers] == [404, 404], model
        assert answers[0].content == answers[1].content, model


def test_the_models_of_the_gateway_are_those_that_the_key_may_name(
    firm: Firm, live: AdapterVersion, client: Client
) -> None:
    def models(member: Membership) -> list[str]:
        headers = {"Authorization": f"Bearer {firm.key(member)}"}
        return [card["id"] for card in client.get("/v1/models", headers=headers).json()["data"]]

    assert models(firm.alice) == []
    assert models(colleague(firm)) == ["smith", "smith@1"]


def test_the_playground_offers_the_base_alone_and_answers_with_nothing_else(
    firm: Firm, live: AdapterVersion, signed_in: SignIn
) -> None:
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        assert [column.label for column in playground.columns(firm.tenant.id)] == ["Base model"]
        assert playground.prompts(firm.tenant.id) == list(playground.GENERIC)
    with tenant_scope(firm.tenant.id, viewer=colleague(firm).id):
        assert [column.label for column in playground.columns(firm.tenant.id)] == ["Base model", "smith@1"]
    body = {"column": str(live.id), "prompt": "Hello"}
    answer = signed_in(firm.alice).post("/playground/answer/", body, content_type="application/json")
    assert answer.status_code == 404


def test_what_learned_from_two_matters_carries_both(firm: Firm) -> None:
    first, second = ready_document(firm), ready_document(firm)
    from webapp.datasets import services as datasets

    with tenant_scope(firm.tenant.id):
        dataset = datasets.create(member=firm.alice, name="Both", document_ids=[first.id, second.id])
        other = matters.create_matter(member=firm.alice, name="Brown v. Green")
        Document.objects.filter(id=second.id).update(matter=other)
    into_matter(firm)
    screen_off(firm, firm.bob, name="Brown v. Green")
    with tenant_scope(firm.tenant.id, viewer=firm.bob.id):
        assert documents.document(firm.tenant.id, first.id) == first
        assert not type(dataset).objects.filter(id=dataset.id).exists()


def test_a_screened_approver_puts_another_version_live_in_place_of_one_they_cannot_see(
    firm: Firm, live: AdapterVersion
) -> None:
    mine = approved(firm, by=firm.alice, approver=firm.bob, adapter_name="letters")
    with tenant_scope(firm.tenant.id, viewer=firm.bob.id):
        assert serving.live(firm.tenant.id) is None
        release.put_live(member=firm.bob, version=mine)
        assert serving.live_version(firm.tenant.id) == mine
    with firm_scope(firm.tenant.id):
        assert Deployment.objects.get(live_until=None).version == mine
        assert Deployment.objects.exclude(live_until=None).get().version == live
        said = audit.events(firm.tenant.id)[0]
        assert (said.action, said.data["label"]) == ("version.put_live", "letters@1")
        assert "smith" not in json.dumps(said.data)


def test_a_screened_approver_takes_off_nothing_that_they_cannot_see(firm: Firm, live: AdapterVersion) -> None:
    with (
        tenant_scope(firm.tenant.id, viewer=firm.bob.id),
        pytest.raises(Conflict, match=r"^Nothing is live\.$"),
    ):
        release.take_off(member=firm.bob)
    with firm_scope(firm.tenant.id):
        assert serving.live_version(firm.tenant.id) == live


def test_the_same_bytes_do_not_betray_a_file_of_the_matter(firm: Firm) -> None:
    with tenant_scope(firm.tenant.id):
        hidden = document_services.upload(member=firm.bob, name="complaint.txt", data=b"Smith sues Jones.")
    into_matter(firm)
    screen_off(firm, firm.alice)
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        mine = document_services.upload(member=firm.alice, name="complaint.txt", data=b"Smith sues Jones.")
    assert mine.id != hidden.id
    with tenant_scope(firm.tenant.id, viewer=firm.bob.id), pytest.raises(Conflict):
        document_services.upload(member=firm.bob, name="again.txt", data=b"Smith sues Jones.")


def test_a_document_that_a_hidden_dataset_learned_from_cannot_be_deleted(firm: Firm) -> None:
    dataset = ready_dataset(firm, by=firm.alice)
    matter = into_matter(firm)
    screen_off(firm, firm.alice)
    with firm_scope(firm.tenant.id):  # moved on to “General” since, where alice sees it
        document = documents.documents(firm.tenant.id)[0]
        Document.objects.filter(id=document.id).update(matter=type(matter).objects.get(is_general=True))
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        document = documents.document(firm.tenant.id, document.id)
        assert not type(dataset).objects.exists()
        with pytest.raises(Conflict, match="part of a dataset"):
            document_services.delete(member=firm.alice, document=document)
        assert documents.document(firm.tenant.id, document.id).job.state == JobState.SUCCEEDED
