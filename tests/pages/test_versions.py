from __future__ import annotations

from collections.abc import Callable

from django.test import Client

from tests.conftest import Firm
from tests.factories import approved, candidate

SignIn = Callable[..., Client]


def test_an_approver_approves_with_a_note_and_puts_live(firm: Firm, signed_in: SignIn) -> None:
    version = candidate(firm, by=firm.alice)
    url = f"/adapters/versions/{version.id}/"
    bob = signed_in(firm.bob)
    page = bob.post(f"{url}decide/", {"decision": "approved", "note": "Ten of ten."}, follow=True)
    assert "briefs@1 is approved." in page.content.decode()
    assert "Ten of ten." in page.content.decode()
    page = bob.post(f"{url}put-live/", follow=True)
    assert "briefs@1 is live." in page.content.decode()
    assert "briefs@1" in signed_in(firm.alice).get("/").content.decode()
    page = bob.post("/adapters/take-off/", follow=True)
    assert "Nothing is live now" in page.content.decode()


def test_who_started_the_run_reads_why_somebody_else_decides(firm: Firm, signed_in: SignIn) -> None:
    version = candidate(firm, by=firm.bob)
    url = f"/adapters/versions/{version.id}/"
    bob = signed_in(firm.bob)
    page = bob.get(url).content.decode()
    assert "You started this run, so somebody else has to approve or reject" in page
    assert ">Approve<" not in page
    answer = bob.post(f"{url}decide/", {"decision": "approved"}, follow=True)
    assert "You started this run, so somebody else has to approve or reject" in answer.content.decode()
    assert "Waiting for approval" in answer.content.decode()


def test_staff_read_that_their_role_does_not_decide(firm: Firm, signed_in: SignIn) -> None:
    version = candidate(firm, by=firm.alice)
    url = f"/adapters/versions/{version.id}/"
    client = signed_in(firm.alice)
    assert "Your role does not decide." in client.get(url).content.decode()
    answer = client.post(f"{url}decide/", {"decision": "approved"})
    assert answer.status_code == 403
    assert "ask someone who is approver in your firm" in answer.content.decode()


def test_a_version_is_decided_once(firm: Firm, signed_in: SignIn) -> None:
    version = approved(firm, by=firm.alice, approver=firm.bob)
    url = f"/adapters/versions/{version.id}/decide/"
    answer = signed_in(firm.bob).post(url, {"decision": "rejected"}, follow=True)
    assert "briefs@1 has already been decided on." in answer.content.decode()


def test_a_candidate_cannot_go_live(firm: Firm, signed_in: SignIn) -> None:
    version = candidate(firm, by=firm.alice)
    url = f"/adapters/versions/{version.id}/put-live/"
    answer = signed_in(firm.bob).post(url, follow=True)
    assert "is not approved; approve it before you put it live." in answer.content.decode()


def test_taking_off_nothing_says_so(firm: Firm, signed_in: SignIn) -> None:
    answer = signed_in(firm.bob).post("/adapters/take-off/", follow=True)
    assert "Nothing is live." in answer.content.decode()
