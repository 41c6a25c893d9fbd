"""The pages of API keys, as alice (staff), dora (admin) and others see them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.conftest import Firm
from tests.factories import approved, candidate
from tests.tenancy.matters import into_matter, screen_off
from webapp.core.tenancy import firm_scope, tenant_scope
from webapp.gateway import services
from webapp.gateway.models import KeyAccess
from webapp.gateway.services import Wanted
from webapp.tenants import selectors as tenants
from webapp.tenants.models import ApiKey, Membership

pytestmark = pytest.mark.django_db

SignIn = Callable[[Membership], Client]
MADE: dict[str, Any] = {
    "name": "Word add-in",
    "scopes": ["completions"],
    "days": "90",
    "default": "live",
    "may_name": "listed",
}


def key_of(firm: Firm, member: Membership, **what: Any) -> ApiKey:
    with tenant_scope(firm.tenant.id, viewer=member.id):
        return services.make_key(member=member, name="intake script", **what)[0]


def page(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def access_of(firm: Firm, key: ApiKey) -> tuple[KeyAccess, set[str]]:
    with firm_scope(firm.tenant.id):
        found = KeyAccess.objects.select_related("default_adapter", "default_version").get(key=key)
        return found, {row.adapter.name for row in found.named.select_related("adapter")}


def test_a_keys_secret_is_shown_once(firm: Firm, signed_in: SignIn) -> None:
    client = signed_in(firm.alice)
    answer = client.post("/settings/keys/new/", MADE)
    secret = answer.context["secret"]
    assert answer.content.decode().count(secret) == 3
    assert "no-store" in answer.headers["Cache-Control"]
    assert tenants.key_by_secret(secret) == answer.context["key"]
    for path in ("/settings/keys/", f"/settings/keys/{answer.context['key'].id}/"):
        assert secret not in page(client, path)
        assert secret[:9] in page(client, path)


def test_a_key_is_made_as_it_was_said(firm: Firm, signed_in: SignIn) -> None:
    version = approved(firm, by=firm.alice, approver=firm.bob, adapter_name="letters")
    approved(firm, by=firm.alice, approver=firm.bob, adapter_name="briefs")
    said = {
        "scopes": ["completions", "read"],
        "default": f"version:{version.id}",
        "adapters": [str(version.adapter_id)],
        "base": "on",
    }
    key = signed_in(firm.alice).post("/settings/keys/new/", MADE | said).context["key"]
    access, named = access_of(firm, key)
    assert key.scopes == ["completions", "read"]
    assert key.lifetime is not None and abs(key.lifetime - timedelta(days=90)) < timedelta(minutes=1)
    assert (access.default_version, access.default_adapter) == (version, None)
    assert (access.everything, access.may_use_base, named) == (False, True, {"letters"})


def test_the_snippets_fit_what_the_key_may_do(firm: Firm, signed_in: SignIn) -> None:
    client = signed_in(firm.alice)
    assert "/v1/chat/completions" in client.post("/settings/keys/new/", MADE).content.decode()
    reads = client.post("/settings/keys/new/", MADE | {"scopes": ["read"]}).content.decode()
    assert "/api/v1/documents/" in reads and "chat/completions" not in reads


def test_everything_that_is_wrong_with_a_key_is_said_at_once(firm: Firm, signed_in: SignIn) -> None:
    answer = signed_in(firm.alice).post("/settings/keys/new/", MADE | {"name": " ", "scopes": []})
    text = answer.content.decode()
    assert "Write a name." in text and "Choose what the program may do." in text
    with tenant_scope(firm.tenant.id):
        assert not tenants.api_keys(firm.alice, everyone=True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"default": "version:7"},
        {"default": "keep"},
        {"may_name": "all"},
        {"days": "1000"},
        {"scopes": ["root"]},
    ],
    ids=str,
)
def test_what_was_not_on_offer_makes_no_key(firm: Firm, signed_in: SignIn, wrong: dict[str, Any]) -> None:
    assert "notice-error" in signed_in(firm.alice).post("/settings/keys/new/", MADE | wrong).content.decode()
    with tenant_scope(firm.tenant.id):
        assert not ApiKey.objects.exists()


def test_only_adapters_of_the_own_firm_that_the_member_sees_are_on_offer(
    firm: Firm, other_firm: Firm, signed_in: SignIn
) -> None:
    hidden = approved(firm, by=firm.dora, approver=firm.bob, adapter_name="smith")
    into_matter(firm)
    screen_off(firm, firm.alice)
    candidate(firm, by=firm.alice, adapter_name="waiting")
    theirs = approved(other_firm, by=other_firm.carol, approver=other_firm.dave, adapter_name="theirs")
    client = signed_in(firm.alice)
    text = page(client, "/settings/keys/new/")
    assert not re.search("smith|waiting|theirs", text)
    assert "smith" in page(signed_in(firm.dora), "/settings/keys/new/")
    for version in (hidden, theirs):
        for said in ({"default": f"adapter:{version.adapter_id}"}, {"adapters": [str(version.adapter_id)]}):
            assert "notice-error" in client.post("/settings/keys/new/", MADE | said).content.decode()


def test_staff_see_their_own_keys_and_an_admin_everybodys(firm: Firm, signed_in: SignIn) -> None:
    key = key_of(firm, firm.bob)
    paths = {f"/settings/keys/{key.id}/{step}" for step in ("", "access/", "rotate/", "revoke/")}
    client = signed_in(firm.alice)
    assert key.prefix not in page(client, "/settings/keys/")
    for path in paths:
        assert {client.get(path).status_code, client.post(path).status_code} <= {404, 405}, path
    admin = signed_in(firm.dora)
    assert key.prefix in page(admin, "/settings/keys/") and "Bob" in page(admin, "/settings/keys/")
    assert "Replace this key" not in page(admin, f"/settings/keys/{key.id}/")
    refused = admin.post(f"/settings/keys/{key.id}/rotate/", {"overlap": "24"}, follow=True)
    assert "you can revoke it" in refused.content.decode() and "secret" not in refused.context
    admin.post(f"/settings/keys/{key.id}/revoke/")
    assert "Revoked" in page(signed_in(firm.bob), "/settings/keys/")
    assert "Nothing any more" in page(signed_in(firm.bob), f"/settings/keys/{key.id}/")


def test_who_may_have_no_keys_has_no_page_of_them(firm: Firm, signed_in: SignIn) -> None:
    for path in ("/settings/keys/", "/settings/keys/new/"):
        assert signed_in(firm.erin).get(path).status_code == 403


def test_without_a_key_the_page_says_what_to_do(firm: Firm, signed_in: SignIn) -> None:
    assert "No key yet" in page(signed_in(firm.alice), "/settings/keys/")


def test_the_list_says_what_each_key_may_do_and_until_when(firm: Firm, signed_in: SignIn) -> None:
    version = approved(firm, by=firm.alice, approver=firm.bob, adapter_name="letters")
    wanted = Wanted(default_adapter=version.adapter, everything=False, may_use_base=True)
    key_of(firm, firm.alice, wanted=wanted, scopes=["completions"])
    key_of(firm, firm.alice)
    text = " ".join(page(signed_in(firm.alice), "/settings/keys/").split())
    for said in ("letters", "may name the base model", "The live adapter", "may name every approved adapter"):
        assert said in text, said
    assert "never" in text and "Valid" in text


def test_many_keys_fill_several_pages_with_a_handful_of_queries(
    firm: Firm, signed_in: SignIn, django_assert_max_num_queries: Any
) -> None:
    version = approved(firm, by=firm.alice, approver=firm.bob)
    wanted = Wanted(default_version=version, adapters=(version.adapter,))
    for _ in range(51):
        key_of(firm, firm.alice, wanted=wanted)
    client = signed_in(firm.alice)
    with django_assert_max_num_queries(25):
        first = page(client, "/settings/keys/")
    assert "Page 1 of 2" in first and first.count("briefs@1") == 50
    assert page(client, "/settings/keys/?page=2").count("briefs@1") == 1


@pytest.mark.parametrize(
    ("left", "said"), [(8, "Valid"), (6, "Expires soon"), (0, "Expired")], ids=["in time", "soon", "too late"]
)
def test_a_week_before_its_end_a_key_is_marked(firm: Firm, signed_in: SignIn, left: int, said: str) -> None:
    key = key_of(firm, firm.alice)
    with tenant_scope(firm.tenant.id):
        ApiKey.objects.update(expires_at=timezone.now() + timedelta(days=left))
    client = signed_in(firm.alice)
    assert said in page(client, "/settings/keys/")
    one = page(client, f"/settings/keys/{key.id}/")
    assert said in one
    assert ("opens nothing from" in one) == (said == "Expires soon")
    assert ("Replace this key" in one) == (left > 0)


def test_a_key_is_replaced_by_one_that_is_shown_once(firm: Firm, signed_in: SignIn) -> None:
    version = approved(firm, by=firm.alice, approver=firm.bob, adapter_name="letters")
    wanted = Wanted(default_adapter=version.adapter, everything=False, adapters=(version.adapter,))
    key = key_of(firm, firm.alice, wanted=wanted)
    client = signed_in(firm.alice)
    answer = client.post(f"/settings/keys/{key.id}/rotate/", {"overlap": "1"})
    new = answer.context["key"]
    assert answer.content.decode().count(answer.context["secret"]) == 3
    assert "no-store" in answer.headers["Cache-Control"]
    old_access, old_named = access_of(firm, key)
    access, named = access_of(firm, new)
    assert (access.default_adapter, access.everything, named) == (version.adapter, False, old_named)
    assert old_access.id != access.id
    listed = page(client, "/settings/keys/")
    assert "Being replaced" in listed and "Valid" in listed
    assert f"/settings/keys/{new.id}/" in page(client, f"/settings/keys/{key.id}/")
    again = client.post(f"/settings/keys/{key.id}/rotate/", {"overlap": "1"}, follow=True)
    assert "replaced already" in again.content.decode()


def test_a_rotation_takes_one_of_the_overlaps_on_offer(firm: Firm, signed_in: SignIn) -> None:
    key = key_of(firm, firm.alice)
    for overlap in ("", "5000", "x"):
        answer = signed_in(firm.alice).post(f"/settings/keys/{key.id}/rotate/", {"overlap": overlap})
        assert "Choose one of these." in answer.content.decode()


def test_what_a_key_may_name_is_changed_on_its_page(firm: Firm, signed_in: SignIn) -> None:
    version = approved(firm, by=firm.alice, approver=firm.bob, adapter_name="letters")
    key = key_of(firm, firm.alice)
    client = signed_in(firm.alice)
    said = {"default": f"adapter:{version.adapter_id}", "may_name": "listed", "base": "on"}
    answer = client.post(f"/settings/keys/{key.id}/access/", said, follow=True)
    assert "from its next request on" in answer.content.decode()
    access, named = access_of(firm, key)
    assert (access.default_adapter, access.everything, access.may_use_base) == (version.adapter, False, True)
    assert named == set()
    assert re.search(rf'value="adapter:{version.adapter_id}"\s+selected', answer.content.decode())


def test_an_admin_who_is_screened_off_changes_and_learns_nothing_of_what_is_hidden(
    firm: Firm, signed_in: SignIn
) -> None:
    hidden = approved(firm, by=firm.alice, approver=firm.bob, adapter_name="smith").adapter
    into_matter(firm)
    letters = approved(firm, by=firm.alice, approver=firm.bob, adapter_name="letters").adapter
    wanted = Wanted(default_adapter=hidden, everything=False, adapters=(hidden,))
    key = key_of(firm, firm.bob, wanted=wanted)
    screen_off(firm, firm.dora)
    admin = signed_in(firm.dora)
    for path in ("/settings/keys/", f"/settings/keys/{key.id}/"):
        assert "smith" not in page(admin, path) and "that is not on offer to you" in page(admin, path)
    said = {"default": "keep", "may_name": "listed", "adapters": [str(letters.id)]}
    admin.post(f"/settings/keys/{key.id}/access/", said)
    access, named = access_of(firm, key)
    assert (access.default_adapter, named) == (hidden, {"smith", "letters"})
    log = page(admin, "/audit/")
    assert "smith" not in log and str(hidden.id) not in log
    assert "In a matter that you are screened off" in log


def test_what_happens_to_keys_is_in_the_log(firm: Firm, signed_in: SignIn) -> None:
    key = key_of(firm, firm.alice)
    client = signed_in(firm.alice)
    client.post(f"/settings/keys/{key.id}/access/", {"default": "live", "may_name": "listed"})
    client.post(f"/settings/keys/{key.id}/rotate/", {"overlap": "0"})
    client.post(f"/settings/keys/{key.id}/revoke/")
    log = page(signed_in(firm.erin), "/audit/")
    for said in ("Made an API key", "Changed what an API key may name", "Replaced an API key"):
        assert said in log, said
