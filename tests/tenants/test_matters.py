from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from tests.conftest import Firm
from tests.tenancy.matters import into_matter, screen_off
from webapp.audit import selectors as audit
from webapp.core.errors import Conflict, Invalid, NotAllowed
from webapp.core.tenancy import firm_scope, tenant_scope
from webapp.tenants import matters, selectors
from webapp.tenants.models import Matter

SignIn = Callable[..., Client]


def test_a_firm_begins_with_its_general_matter(firm: Firm) -> None:
    with tenant_scope(firm.tenant.id):
        assert [str(matter) for matter in selectors.matters(firm.tenant.id)] == ["General"]


def test_staff_open_a_matter_and_correct_its_name(firm: Firm) -> None:
    with tenant_scope(firm.tenant.id):
        made = matters.create_matter(member=firm.alice, name=" Smith v. Jones ", client="Smith", number="7-1")
        matters.rename(member=firm.bob, matter=made, name="Smith v. Jones Ltd.", client="Smith", number="7-2")
        found = selectors.matter(firm.tenant.id, made.id)
        assert (found.name, found.client, found.number) == ("Smith v. Jones Ltd.", "Smith", "7-2")
        said = [(event.action, event.actor, event.data) for event in audit.events(firm.tenant.id)[:2]]
    assert said == [
        ("matter.renamed", firm.bob.label, {}),
        ("matter.created", firm.alice.label, {}),
    ], "the log names no client"


def test_an_auditor_opens_none(firm: Firm) -> None:
    with tenant_scope(firm.tenant.id), pytest.raises(NotAllowed):
        matters.create_matter(member=firm.erin, name="Theirs")


def test_general_keeps_its_name(firm: Firm) -> None:
    with tenant_scope(firm.tenant.id):
        general = selectors.general_matter(firm.tenant.id)
        with pytest.raises(Conflict, match="its name stays"):
            matters.rename(member=firm.dora, matter=general, name="Other")


def test_every_problem_is_told_at_once(firm: Firm) -> None:
    with tenant_scope(firm.tenant.id), pytest.raises(Invalid) as refused:
        matters.create_matter(member=firm.alice, name=" ", number="7" * 61)
    assert set(refused.value.fields) == {"name", "number"}


def test_a_number_is_one_matters_only(firm: Firm, other_firm: Firm) -> None:
    with tenant_scope(firm.tenant.id):
        first = matters.create_matter(member=firm.alice, name="One", number="7-1")
        with pytest.raises(Conflict, match="number"):
            matters.create_matter(member=firm.alice, name="Two", number="7-1")
        matters.rename(member=firm.alice, matter=first, name="One, renamed", number="7-1")
    with tenant_scope(other_firm.tenant.id):
        matters.create_matter(member=other_firm.carol, name="One", number="7-1")


def test_a_number_that_is_hidden_from_the_writer_is_refused_in_the_same_words(firm: Firm) -> None:
    """Not an error of the database, which would be a page that says nothing at all."""
    into_matter(firm)
    with firm_scope(firm.tenant.id):
        Matter.objects.filter(is_general=False).update(number="7-1")
    screen_off(firm, firm.alice)
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id), pytest.raises(Conflict) as refused:
        matters.create_matter(member=firm.alice, name="Two", number="7-1")
    assert "Smith" not in refused.value.message


def test_the_page_lists_matters_with_what_they_hold(firm: Firm, signed_in: SignIn) -> None:
    client = signed_in(firm.alice)
    answer = client.post("/matters/", {"name": "Smith v. Jones", "client": "Smith", "number": "7-1"})
    assert answer.status_code == 302
    page = client.get(answer["Location"]).content.decode()
    assert "Smith v. Jones" in page and "Nobody is screened off this matter." in page
    listed = client.get("/matters/").content.decode()
    assert "Smith v. Jones" in listed and "General" in listed


def test_the_page_keeps_what_was_written_and_says_what_is_wrong(firm: Firm, signed_in: SignIn) -> None:
    client = signed_in(firm.alice)
    page = client.post("/matters/", {"name": "", "client": "Smith"}).content.decode()
    assert "Name the matter." in page and 'value="Smith"' in page


def test_a_matter_is_renamed_on_its_page(firm: Firm, signed_in: SignIn) -> None:
    matter = into_matter(firm)
    client = signed_in(firm.alice)
    wrong = client.post(f"/matters/{matter.id}/rename/", {"name": ""}).content.decode()
    assert "Name the matter." in wrong and "<h1" in wrong and "Smith v. Jones</h1>" in wrong
    answer = client.post(f"/matters/{matter.id}/rename/", {"name": "Smith v. Brown"}, follow=True)
    assert "Smith v. Brown" in answer.content.decode()


def test_an_auditor_reads_the_page_and_is_offered_no_changes(firm: Firm, signed_in: SignIn) -> None:
    matter = into_matter(firm)
    page = signed_in(firm.erin).get(f"/matters/{matter.id}/").content.decode()
    assert "Rename" not in page and "Lift" not in page
    assert "Open a matter" not in signed_in(firm.erin).get("/matters/").content.decode()
