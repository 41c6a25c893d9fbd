"""Every URL of the product, visited as nobody and as a member of another firm. A new URL cannot be forgotten:
it is taken from the resolver, and one with an unknown kind of id fails here until it is told whose it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from tests.conftest import Firm
from tests.factories import approved, used
from tests.tenancy.matters import into_matter, screen_off
from webapp.core.tenancy import tenant_scope
from webapp.documents import uploads
from webapp.documents.layout import Layout
from webapp.findings import services as findings
from webapp.tenants.models import ApiKey

# What anybody may see: no firm's data is behind these.
PUBLIC = {"healthz", "sign-in", "sign-out", "no-firm", "robots"}


def routes(resolver: URLResolver | None = None, prefix: str = "") -> Iterator[tuple[str, str]]:
    """`(path pattern, name)` of every URL."""
    for entry in (resolver or get_resolver()).url_patterns:
        path = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from routes(entry, path)
        elif isinstance(entry, URLPattern):
            yield path, entry.name or ""


ALL = sorted({(path, name) for path, name in routes() if name not in PUBLIC and "format" not in path})
PARAMETER = re.compile(r"<[^>]+>|\(\?P<[^>]+>[^)]*\)")
WITH_ID = [route for route in ALL if PARAMETER.search(route[0])]


@pytest.fixture
def ids(firm: Firm) -> Callable[[str], str]:
    """A path of the firm's own for every pattern: each placeholder becomes an id of the right kind."""
    version = approved(firm, by=firm.alice, approver=firm.bob)
    firm.key(firm.alice)
    with tenant_scope(firm.tenant.id):
        run = version.run
        document = run.dataset.memberships.all()[0].document
        findings.scan(document=document, layout=Layout.of_text("Write to jane@example.com."))
        key = ApiKey.objects.get()
        approval = version.approvals.get()
        kinds: dict[str, object] = {
            "documents": document.id,
            "findings": document.findings.get().id,
            "datasets": run.dataset_id,
            "import": document.id,
            "runs": run.id,
            "training": run.id,
            "versions": version.id,
            "adapters": version.adapter_id,
            "approvals": approval.id,
            "keys": key.id,
            "people": firm.alice.id,
            "requests": used(firm, version),
        }
    # All of it belongs to one matter, which alice is screened off: test_every_screen visits the same URLs.
    matter = into_matter(firm)
    with tenant_scope(firm.tenant.id):
        kinds["uploads"] = uploads.start(member=firm.alice, name="a.txt", size=1, matter=matter).id
    kinds |= {"matters": matter.id, "pages": 1, "examples": 0}
    kinds["screens"] = screen_off(firm, firm.alice).id

    def fill(pattern: str) -> str:
        path = re.sub(r"[\^$]|\\Z", "", pattern)
        while found := PARAMETER.search(path):
            before = [part for part in path[: found.start()].split("/") if part]
            path = path[: found.start()] + str(kinds[before[-1]]) + path[found.end() :]
        return "/" + path.removeprefix("/")

    return fill


def test_there_are_urls_to_visit() -> None:
    assert len(ALL) > 30
    assert len(WITH_ID) > 10


@pytest.mark.parametrize(("pattern", "name"), ALL, ids=[path for path, _ in ALL])
def test_nobody_is_asked_to_sign_in(
    ids: Callable[[str], str], client: Client, pattern: str, name: str
) -> None:
    for send in (client.get, client.post):
        answer = send(ids(pattern))
        if answer.status_code == 405:
            continue
        asked = answer.status_code == 302 and answer["Location"].startswith("/sign-in/")
        assert asked or answer.status_code == 401, f"{answer.status_code} for nobody"


@pytest.mark.parametrize(("pattern", "name"), WITH_ID, ids=[path for path, _ in WITH_ID])
def test_another_firms_object_is_not_found(
    ids: Callable[[str], str],
    other_firm: Firm,
    signed_in: Callable[..., Client],
    pattern: str,
    name: str,
) -> None:
    path = ids(pattern)
    for member in other_firm.people.values():
        client = signed_in(member)
        refusals = {send(path).status_code for send in (client.get, client.post, client.delete)}
        assert 404 in refusals or refusals == {403, 405}, f"{refusals} for {member.role} of another firm"
        assert refusals <= {404, 405, 403}, f"{refusals} for {member.role} of another firm"


@pytest.mark.parametrize(
    ("pattern", "name"),
    [route for route in ALL if route not in WITH_ID],
    ids=[path for path, _ in ALL if not PARAMETER.search(path)],
)
def test_another_firms_pages_name_nothing_of_this_one(
    firm: Firm,
    ids: Callable[[str], str],
    other_firm: Firm,
    signed_in: Callable[..., Client],
    pattern: str,
    name: str,
) -> None:
    answer = signed_in(other_firm.frank).get(ids(pattern))
    assert answer.status_code < 500
    if not answer.streaming:
        assert b"Ashworth" not in answer.content
        assert str(firm.tenant.id).encode() not in answer.content
