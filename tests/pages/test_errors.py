from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from django.template.loader import render_to_string
from django.test import Client

from tests.conftest import Firm

SignIn = Callable[..., Client]


def test_a_page_above_ones_role_names_who_may(firm: Firm, signed_in: SignIn) -> None:
    answer = signed_in(firm.alice).get("/audit/")
    assert answer.status_code == 403
    assert "ask someone who is firm admin or auditor in your firm" in answer.content.decode()


@pytest.mark.parametrize("path", ["documents", "datasets", "training", "adapters/versions"])
def test_nothing_and_not_yours_look_the_same(firm: Firm, signed_in: SignIn, path: str) -> None:
    answer = signed_in(firm.alice).get(f"/{path}/{uuid.uuid4()}/")
    assert answer.status_code == 404
    assert "There is nothing here, or it is not yours to see." in answer.content.decode()


def test_an_unknown_address_is_not_found(firm: Firm, signed_in: SignIn) -> None:
    answer = signed_in(firm.alice).get("/nowhere/")
    assert answer.status_code == 404
    assert "There is nothing here, or it is not yours to see." in answer.content.decode()


def test_the_page_of_a_fault_needs_nothing_to_be_drawn() -> None:
    assert "Something went wrong" in render_to_string("500.html")


def test_a_stale_form_says_what_to_do(firm: Firm) -> None:
    client = Client(enforce_csrf_checks=True)
    answer = client.post("/sign-in/", {"username": "a", "password": "b"})
    assert answer.status_code == 403
    assert "Go back, load the page again" in answer.content.decode()


def test_a_page_number_out_of_range_shows_the_nearest_page(firm: Firm, signed_in: SignIn) -> None:
    for page in ("0", "999", "-1", "x"):
        assert signed_in(firm.erin).get(f"/audit/?page={page}").status_code == 200


def test_no_page_has_an_inline_script_or_style(firm: Firm, signed_in: SignIn) -> None:
    client = signed_in(firm.dora)
    for path in ("/", "/documents/", "/training/", "/settings/keys/", "/settings/people/", "/audit/"):
        page = client.get(path).content.decode()
        assert "style=" not in page
        assert "onclick" not in page
        assert page.count("<script") == page.count("<script src=")


def test_the_audit_log_says_that_its_chain_is_whole(firm: Firm, signed_in: SignIn) -> None:
    page = signed_in(firm.erin).get("/audit/").content.decode()
    assert "The chain is whole" in page
    assert "Opened the firm" in page
