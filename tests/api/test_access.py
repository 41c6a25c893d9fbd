"""Who gets in: keys, sessions, nobody, members without the right, and members of another firm."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from django.test import Client
from django.utils import timezone

from tests.api.conftest import Call, refusal
from tests.conftest import Firm
from tests.factories import approved, candidate, ready_document, used
from webapp.core.tenancy import tenant_scope
from webapp.tenants import services as tenants
from webapp.tenants.models import ApiKey, Membership, User

pytestmark = pytest.mark.django_db

FILLED = ["matters", "documents", "datasets", "runs", "adapters", "versions", "approvals", "usage"]
LISTS = [*FILLED, "deployments", "rollouts"]


@pytest.mark.parametrize("path", ["", *(f"{name}/" for name in LISTS), "deployments/current/", "schema/"])
def test_nobody_is_asked_for_a_key(client: Client, path: str) -> None:
    answer = client.get(f"/api/v1/{path}")
    refusal(answer, 401, "not_authenticated")
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_a_wrong_or_revoked_key_is_refused(client: Client, firm: Firm) -> None:
    secret = firm.key(firm.alice)
    with tenant_scope(firm.tenant.id):
        tenants.revoke_api_key(member=firm.alice, key=ApiKey.objects.get())
    for key in (secret, "hs_wrong", ""):
        answer = client.get("/api/v1/documents/", headers={"Authorization": f"Bearer {key}"})
        assert refusal(answer, 401, "invalid_api_key")["message"].endswith(".")


def test_a_wrong_key_is_not_saved_by_a_session(signed_in: Callable[..., Client], firm: Firm) -> None:
    answer = signed_in(firm.alice).get("/api/v1/documents/", headers={"Authorization": "Bearer hs_wrong"})
    assert answer.status_code == 401


READS, WRITES = ("get", "head", "options"), ("post", "put", "patch", "delete")


@pytest.mark.parametrize("scope", ["read", "write", "completions"])
def test_a_key_reads_and_writes_as_its_scopes_say(client: Client, firm: Firm, scope: str) -> None:
    headers = {"Authorization": f"Bearer {firm.key(firm.alice, scopes=[scope])}"}
    for method in (*READS, *WRITES):
        answer = getattr(client, method)("/api/v1/documents/", headers=headers)
        if method in {"read": READS, "write": WRITES}.get(scope, ()):
            assert answer.status_code not in (401, 403), method
        elif method == "head":  # its answer has no body
            assert answer.status_code == 403
        else:
            assert "lacks the scope" in refusal(answer, 403, "insufficient_scope")["message"]
    for path in ("", "schema/", "nothing/"):
        assert (client.get(f"/api/v1/{path}", headers=headers).status_code == 403) == (scope != "read")


def test_an_expired_key_is_told_what_an_unknown_one_is(client: Client, firm: Firm) -> None:
    secret = firm.key(firm.alice)
    with tenant_scope(firm.tenant.id):
        ApiKey.objects.update(expires_at=timezone.now())
    said = [
        client.get("/api/v1/documents/", headers={"Authorization": f"Bearer {key}"})
        for key in (secret, "hs_wrong")
    ]
    assert said[0].content == said[1].content
    assert "expired" in refusal(said[0], 401, "invalid_api_key")["message"]


def test_a_session_reads_and_writes_with_its_csrf_token_only(firm: Firm) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(firm.alice.user, backend="django.contrib.auth.backends.ModelBackend")
    assert client.get("/api/v1/documents/").status_code == 200
    body = {"name": "Briefs", "documents": []}
    refusal(client.post("/api/v1/datasets/", body, content_type="application/json"), 403, "permission_denied")
    client.cookies["csrftoken"] = token = "a" * 32
    answer = client.post(
        "/api/v1/datasets/", body, content_type="application/json", headers={"X-CSRFToken": token}
    )
    refusal(answer, 400, "invalid")


def test_a_person_without_a_firm_is_told_so(client: Client, db: None) -> None:
    user = User.objects.create_user("gina@nowhere.example", "a long enough password")
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    refusal(client.get("/api/v1/documents/"), 403, "not_allowed")


def test_lists_hold_the_own_firms_things_alone(call: Call, firm: Firm, other_firm: Firm) -> None:
    used(firm, approved(firm, by=firm.alice, approver=firm.bob))
    for name in FILLED:
        ours, theirs = (call(by, "GET", f"{name}/").json() for by in (firm.alice, other_firm.carol))
        assert set(ours) == {"count", "next", "previous", "results"}
        assert ours["count"] > 0
        assert theirs["count"] == (1 if name == "matters" else 0)  # a “General” of their own
        assert not {row["id"] for row in ours["results"]} & {row["id"] for row in theirs["results"]}


def test_another_firms_objects_are_not_found_by_anybody(call: Call, firm: Firm, other_firm: Firm) -> None:
    version = candidate(firm, by=firm.alice)
    document = ready_document(firm)
    run = version.run
    reads = [
        f"documents/{document.id}/",
        f"documents/{document.id}/text/",
        f"datasets/{run.dataset_id}/",
        f"datasets/{run.dataset_id}/examples/",
        f"runs/{run.id}/",
        f"adapters/{version.adapter_id}/",
        f"versions/{version.id}/",
    ]
    decision = {"version": str(version.id), "decision": "approved"}
    new_run = {"dataset": str(run.dataset_id), "adapter_name": "theirs"}
    writes = [
        ("DELETE", f"documents/{document.id}/", None),
        ("POST", f"runs/{run.id}/cancel/", None),
        ("POST", f"versions/{version.id}/put-live/", None),
        ("POST", "approvals/", decision),
        ("POST", "runs/", new_run),
    ]
    for member in other_firm.people.values():
        for method, path, body in [*(("GET", path, None) for path in reads), *writes]:
            refusal(call(member, method, path, body), 404, "not_found")
    chosen = {"name": "Theirs", "documents": [str(document.id)] * 2}
    refusal(call(other_firm.carol, "POST", "datasets/", chosen), 400, "invalid")


def test_an_auditor_reads_everything_and_changes_nothing(
    signed_in: Callable[[Membership], Client], firm: Firm
) -> None:
    version = approved(firm, by=firm.alice, approver=firm.bob)
    document = ready_document(firm)
    client = signed_in(firm.erin)
    for name in LISTS:
        assert client.get(f"/api/v1/{name}/").status_code == 200
    some = str(uuid.uuid4())
    writes = [
        ("datasets/", {"name": "Briefs", "documents": [some, some]}),
        ("runs/", {"dataset": str(version.run.dataset_id), "adapter_name": "briefs"}),
        (f"runs/{version.run_id}/cancel/", {}),
        ("approvals/", {"version": str(version.id), "decision": "approved"}),
        (f"versions/{version.id}/put-live/", {}),
        ("deployments/take-off/", {}),
    ]
    for path, body in writes:
        answer = client.post(f"/api/v1/{path}", body, content_type="application/json")
        assert "ask someone who is" in refusal(answer, 403, "not_allowed")["message"]
    refusal(client.delete(f"/api/v1/documents/{document.id}/"), 403, "not_allowed")


def test_a_wrong_path_or_method_is_refused_in_json(call: Call, firm: Firm) -> None:
    refusal(call(firm.alice, "GET", "nothing/"), 404, "not_found")
    refusal(call(firm.alice, "GET", "documents/not-an-id/"), 404, "not_found")
    refusal(call(firm.alice, "DELETE", "runs/"), 405, "method_not_allowed")
    refusal(call(firm.alice, "GET", "documents/?page=99"), 404, "not_found")


def test_the_root_lists_the_resources(call: Call, firm: Firm) -> None:
    root = call(firm.alice, "GET", "").json()
    assert set(root) == set(LISTS)
