from __future__ import annotations

from django.test import Client

from tests.conftest import Firm
from webapp.tenants.models import User


def test_a_member_signs_in_with_e_mail_and_password_and_sees_the_firm(firm: Firm, client: Client) -> None:
    answer = client.post(
        "/sign-in/", {"username": "Alice@Ashworth.example", "password": firm.password}, follow=True
    )
    assert answer.redirect_chain == [("/", 302)]
    assert "Ashworth" in answer.content.decode()


def test_a_wrong_password_and_an_unknown_address_look_the_same(firm: Firm, client: Client) -> None:
    sentence = "This e-mail and password do not belong together; check both and try again."
    for username in (firm.alice.user.email, "nobody@ashworth.example"):
        answer = client.post("/sign-in/", {"username": username, "password": "not the password"})
        assert answer.status_code == 200
        assert sentence in answer.content.decode()


def test_ten_wrong_passwords_are_followed_by_a_wait(firm: Firm, client: Client) -> None:
    wrong = {"username": firm.alice.user.email, "password": "not the password"}
    for _ in range(10):
        answer = client.post("/sign-in/", wrong)
    assert answer.status_code == 429
    assert "Wait a quarter of an hour" in answer.content.decode()
    right = {**wrong, "password": firm.password}
    assert client.post("/sign-in/", right).status_code == 429


def test_signing_out_needs_a_post_and_ends_the_session(firm: Firm, client: Client) -> None:
    client.post("/sign-in/", {"username": firm.alice.user.email, "password": firm.password})
    assert client.get("/sign-out/").status_code == 405
    client.post("/sign-out/")
    assert client.get("/").headers["Location"].startswith("/sign-in/")


def test_somebody_without_a_firm_is_told_whom_to_ask(db: None, client: Client) -> None:
    user = User.objects.create_user("lone@example.org", "a long enough password")
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    answer = client.get("/documents/", follow=True)
    assert answer.redirect_chain == [("/no-firm/", 302)]
    assert "Ask your firm's admin to add you" in answer.content.decode()


def test_a_fragment_asked_for_after_signing_out_sends_the_page_to_sign_in(db: None, client: Client) -> None:
    answer = client.get("/documents/", headers={"HX-Request": "true"})
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"] == "/sign-in/"


def test_healthz_answers_without_a_session(db: None, client: Client) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, answer.content) == (200, b"ok")
