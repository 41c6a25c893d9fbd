"""The one next thing, for each role and each station of the path."""

from __future__ import annotations

from collections.abc import Callable

from django.test import Client

from tests.conftest import Firm
from tests.factories import approved, candidate, queued_run, ready_dataset, ready_document
from webapp.core.tenancy import tenant_scope
from webapp.serving import services as serving
from webapp.tenants.models import Membership

SignIn = Callable[..., Client]


def next_for(member: Membership, signed_in: SignIn) -> str:
    """The heading under “Next” on the overview of this person."""
    page = signed_in(member).get("/").content.decode()
    return page.split('class="eyebrow">Next</p>')[1].split("<h2>")[1].split("</h2>")[0]


def test_an_empty_firm_begins_with_documents(firm: Firm, signed_in: SignIn) -> None:
    assert next_for(firm.alice, signed_in) == "Begin with documents"
    assert next_for(firm.erin, signed_in) == "Nothing for you to do"


def test_ready_documents_become_a_dataset(firm: Firm, signed_in: SignIn) -> None:
    ready_document(firm)
    assert next_for(firm.alice, signed_in) == "Add a few more documents"
    ready_document(firm)
    assert next_for(firm.alice, signed_in) == "Make a dataset"


def test_a_ready_dataset_is_trained_on(firm: Firm, signed_in: SignIn) -> None:
    ready_dataset(firm)
    assert next_for(firm.alice, signed_in) == "Train on your dataset"


def test_a_run_is_watched(firm: Firm, signed_in: SignIn) -> None:
    queued_run(firm)
    assert next_for(firm.alice, signed_in) == "“briefs” is training"


def test_a_candidate_waits_for_the_approver_who_did_not_train_it(firm: Firm, signed_in: SignIn) -> None:
    candidate(firm, by=firm.alice)
    assert next_for(firm.bob, signed_in) == "briefs@1 waits for your decision"
    assert next_for(firm.alice, signed_in) == "briefs@1 waits for an approver"


def test_an_own_candidate_is_not_put_before_its_maker(firm: Firm, signed_in: SignIn) -> None:
    candidate(firm, by=firm.bob)
    assert next_for(firm.bob, signed_in) == "briefs@1 waits for an approver"


def test_an_approved_version_is_put_live_and_then_all_is_done(firm: Firm, signed_in: SignIn) -> None:
    version = approved(firm, by=firm.alice, approver=firm.bob)
    assert next_for(firm.bob, signed_in) == "briefs@1 is approved"
    assert next_for(firm.alice, signed_in) == "briefs@1 is approved"
    with tenant_scope(firm.tenant.id):
        serving.put_live(member=firm.bob, version=version)
    for member in (firm.alice, firm.bob, firm.dora, firm.erin):
        assert next_for(member, signed_in) == "Your house style is live"
