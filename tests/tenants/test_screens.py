"""Setting and lifting a screen: who may, what is kept, when it counts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from tests.conftest import Firm
from tests.factories import ready_document
from tests.tenancy.matters import into_matter, screen_off
from webapp.audit import selectors as audit
from webapp.core.errors import Conflict, Invalid, NotAllowed, NotFound
from webapp.core.tenancy import firm_scope, tenant_scope
from webapp.tenants import matters, selectors
from webapp.tenants.models import Matter, Membership, Role

SignIn = Callable[..., Client]


@pytest.fixture
def matter(firm: Firm) -> Matter:
    return into_matter(firm)


def actions(firm: Firm) -> list[tuple[str, str, str]]:
    with firm_scope(firm.tenant.id):
        found = audit.events(firm.tenant.id).filter(action__startswith="matter.screen")
        return [(event.action, event.actor, event.data["person"]) for event in found]


@pytest.mark.parametrize("who", ["alice", "bob", "erin"])
def test_only_an_admin_screens_somebody_else_off(firm: Firm, matter: Matter, who: str) -> None:
    with tenant_scope(firm.tenant.id), pytest.raises(NotAllowed):
        matters.screen(member=firm.people[who], matter=matter, person=firm.dora, reason="A conflict.")
    with tenant_scope(firm.tenant.id):
        matters.screen(member=firm.dora, matter=matter, person=firm.people[who], reason="A conflict.")
    assert actions(firm) == [("matter.screened", firm.dora.label, firm.people[who].label)]


@pytest.mark.parametrize("who", ["alice", "bob", "dora", "erin"])
def test_everybody_may_declare_a_conflict_of_their_own(firm: Firm, matter: Matter, who: str) -> None:
    member = firm.people[who]
    with tenant_scope(firm.tenant.id, viewer=member.id):
        matters.screen(member=member, matter=matter, person=member, reason="Acted for Jones.")
    with tenant_scope(firm.tenant.id, viewer=member.id), pytest.raises(NotFound):
        selectors.matter(firm.tenant.id, matter.id)


def test_nobody_lifts_their_own_screen(firm: Firm, matter: Matter) -> None:
    mine = screen_off(firm, firm.dora)
    with firm_scope(firm.tenant.id), pytest.raises(NotAllowed, match="another firm admin"):
        matters.lift_screen(member=firm.dora, screen=mine)


def test_only_an_admin_lifts_a_screen(firm: Firm, matter: Matter) -> None:
    screen = screen_off(firm, firm.alice)
    for member in (firm.bob, firm.erin):
        with tenant_scope(firm.tenant.id, viewer=member.id), pytest.raises(NotAllowed):
            matters.lift_screen(member=member, screen=screen)
    with tenant_scope(firm.tenant.id, viewer=firm.dora.id):
        matters.lift_screen(member=firm.dora, screen=screen)
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        assert selectors.matter(firm.tenant.id, matter.id) == matter
    assert actions(firm)[0] == ("matter.screen_lifted", firm.dora.label, firm.alice.label)


def test_a_lifted_screen_stays_as_evidence_and_can_be_set_again(firm: Firm, matter: Matter) -> None:
    first = screen_off(firm, firm.alice)
    with tenant_scope(firm.tenant.id, viewer=firm.dora.id):
        matters.lift_screen(member=firm.dora, screen=first)
        with pytest.raises(Conflict):
            matters.lift_screen(member=firm.dora, screen=first)
    second = screen_off(firm, firm.alice)
    with tenant_scope(firm.tenant.id, viewer=firm.dora.id):
        assert list(selectors.screens(matter)) == [second]
        (old,) = selectors.screens(matter, lifted=True)
        assert (old.reason, old.lifted_by) == ("Acted for Jones.", firm.dora)


def test_general_is_never_screened(firm: Firm) -> None:
    with tenant_scope(firm.tenant.id):
        general = selectors.general_matter(firm.tenant.id)
        with pytest.raises(Conflict, match="General"):
            matters.screen(member=firm.dora, matter=general, person=firm.alice, reason="A conflict.")


def test_a_screen_needs_a_reason_and_is_set_once(firm: Firm, matter: Matter) -> None:
    with tenant_scope(firm.tenant.id, viewer=firm.dora.id):
        with pytest.raises(Invalid) as refused:
            matters.screen(member=firm.dora, matter=matter, person=firm.alice, reason="  ")
        assert "reason" in refused.value.fields
        matters.screen(member=firm.dora, matter=matter, person=firm.alice, reason="Acted for Jones.")
        with pytest.raises(Conflict, match="already"):
            matters.screen(member=firm.dora, matter=matter, person=firm.alice, reason="Acted for Jones.")


def test_the_page_says_who_is_screened_off_why_and_since_when(
    firm: Firm, matter: Matter, signed_in: SignIn
) -> None:
    client = signed_in(firm.dora)
    said = {"person": str(firm.alice.id), "reason": "Acted for Jones until 2024."}
    answer = client.post(f"/matters/{matter.id}/screens/", said, follow=True)
    page = answer.content.decode()
    assert "Alice sees nothing of this matter from now on." in page
    assert "Acted for Jones until 2024." in page and "by Dora" in page
    with firm_scope(firm.tenant.id):
        screen = selectors.screens(matter).get()
    lifted = client.post(f"/matters/{matter.id}/screens/{screen.id}/lift/", follow=True).content.decode()
    assert "Alice sees this matter again." in lifted
    assert "Screens that were lifted" in lifted and "Nobody is screened off this matter." in lifted


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"person": "", "reason": "A conflict."}, "Choose a person of your firm."),
        ({"person": "nobody", "reason": "A conflict."}, "Choose a person of your firm."),
        ({"person": "alice", "reason": ""}, "Write why"),
    ],
)
def test_the_page_says_what_is_wrong(
    firm: Firm, matter: Matter, signed_in: SignIn, said: dict[str, str], problem: str
) -> None:
    person = firm.people.get(said["person"])
    sent = {**said, "person": str(person.id) if person else said["person"]}
    page = signed_in(firm.dora).post(f"/matters/{matter.id}/screens/", sent).content.decode()
    assert problem in page
    with firm_scope(firm.tenant.id):
        assert not selectors.screens(matter).exists()


def test_another_firms_member_cannot_be_screened_off(
    firm: Firm, other_firm: Firm, matter: Matter, signed_in: SignIn
) -> None:
    said = {"person": str(other_firm.carol.id), "reason": "A conflict."}
    page = signed_in(firm.dora).post(f"/matters/{matter.id}/screens/", said).content.decode()
    assert "Choose a person of your firm." in page


def test_a_screen_counts_from_the_next_click_on(firm: Firm, signed_in: SignIn) -> None:
    document = ready_document(firm)
    matter = into_matter(firm)
    client = signed_in(firm.alice)
    assert client.get(f"/documents/{document.id}/").status_code == 200
    screen = screen_off(firm, firm.alice)
    assert client.get(f"/documents/{document.id}/").status_code == 404
    with tenant_scope(firm.tenant.id, viewer=firm.dora.id):
        matters.lift_screen(member=firm.dora, screen=screen)
    assert client.get(f"/documents/{document.id}/").status_code == 200
    assert client.get(f"/matters/{matter.id}/").status_code == 200


def test_who_declares_a_conflict_leaves_the_matters_page(
    firm: Firm, matter: Matter, signed_in: SignIn
) -> None:
    client = signed_in(firm.alice)
    said = {"person": str(firm.alice.id), "reason": "My brother is the plaintiff."}
    answer = client.post(f"/matters/{matter.id}/screens/", said)
    assert answer["Location"] == "/matters/"
    assert client.get(f"/matters/{matter.id}/").status_code == 404


def test_staff_are_refused_when_they_name_somebody_else(
    firm: Firm, matter: Matter, signed_in: SignIn
) -> None:
    said = {"person": str(firm.bob.id), "reason": "A conflict."}
    page = signed_in(firm.alice).post(f"/matters/{matter.id}/screens/", said).content.decode()
    assert "ask someone who is firm admin" in page
    with firm_scope(firm.tenant.id):
        assert not selectors.screens(matter).exists()


def test_a_role_does_not_open_a_screen(firm: Firm, signed_in: SignIn) -> None:
    document = ready_document(firm)
    into_matter(firm)
    screen_off(firm, firm.alice)
    for role in Role:
        with firm_scope(firm.tenant.id):
            Membership.objects.filter(id=firm.alice.id).update(role=role)
        assert signed_in(firm.alice).get(f"/documents/{document.id}/").status_code == 404, role
