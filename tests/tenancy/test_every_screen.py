"""Every URL with an id of something that belongs to a matter, visited by who is screened off it and by who is
not. Roles do not matter: a firm admin and an approver are screened off as anybody."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.test import Client

from tests.conftest import Firm
from tests.tenancy.matters import screen_off
from tests.tenancy.test_every_url import PARAMETER, WITH_ID, ids  # noqa: F401  # a fixture
from webapp.core.tenancy import firm_scope
from webapp.tenants.models import Membership, Role, Screen

# Ids of these are no part of a matter.
NO_MATTER = re.compile(r"settings/(keys|people)/")
OF_A_MATTER = [route for route in WITH_ID if not NO_MATTER.search(route[0])]
# What a document of running text has none of, whoever asks.
NOT_OF_EVERY_DOCUMENT = {"document-columns", "document-page-image"}
NAMES = [pattern for pattern, _ in OF_A_MATTER]

pytestmark = pytest.mark.django_db


def status(client: Client, method: str, path: str) -> int:
    send = getattr(client, method)
    answer = send(path) if method == "get" else send(path, {}, content_type="application/json")
    return int(answer.status_code)


def test_there_are_urls_to_visit() -> None:
    assert len(OF_A_MATTER) > 20
    kinds = {pattern[: PARAMETER.search(pattern).start()].split("/")[-2] for pattern in NAMES}  # type: ignore[union-attr]
    assert {"documents", "datasets", "training", "versions", "adapters", "runs", "matters"} <= kinds


@pytest.mark.parametrize("role", [Role.STAFF, Role.APPROVER, Role.ADMIN])
@pytest.mark.parametrize(("pattern", "name"), OF_A_MATTER, ids=NAMES)
def test_who_is_screened_off_finds_nothing(
    firm: Firm,
    ids: Callable[[str], str],  # noqa: F811
    signed_in: Callable[[Membership], Client],
    pattern: str,
    name: str,
    role: Role,
) -> None:
    path = ids(pattern)
    with firm_scope(firm.tenant.id):
        Membership.objects.filter(id=firm.alice.id).update(role=role)
    client = signed_in(firm.alice)
    answers = {method: status(client, method, path) for method in ("get", "post", "put", "patch", "delete")}
    assert 404 in answers.values() or set(answers.values()) == {403, 405}, answers
    assert set(answers.values()) <= {403, 404, 405}, answers


@pytest.mark.parametrize(
    ("pattern", "name"), [route for route in OF_A_MATTER if route[1] not in NOT_OF_EVERY_DOCUMENT]
)
def test_who_is_not_screened_off_finds_it(
    firm: Firm,
    ids: Callable[[str], str],  # noqa: F811
    signed_in: Callable[[Membership], Client],
    pattern: str,
    name: str,
) -> None:
    path = ids(pattern)
    for member in (firm.bob, firm.erin, firm.dora):
        found = status(signed_in(member), "get", path)
        assert found in {200, 302, 403, 405, 409}, f"{found} for {member.role}"


def test_the_pages_that_everybody_reads_are_found_by_who_is_not_screened_off(
    firm: Firm,
    ids: Callable[[str], str],  # noqa: F811
    signed_in: Callable[[Membership], Client],
) -> None:
    paths = [ids(pattern) for pattern in NAMES]
    for member in (firm.bob, firm.erin, firm.dora):
        client = signed_in(member)
        pages = [path for path in paths if status(client, "get", path) == 200]
        assert len(pages) >= 8, pages


def test_the_screen_is_what_hides_it(
    firm: Firm,
    ids: Callable[[str], str],  # noqa: F811
    signed_in: Callable[[Membership], Client],
) -> None:
    """The same person, the same paths, before and after: that is why the visits above found nothing."""
    paths = [ids(pattern) for pattern in NAMES]
    client = signed_in(firm.bob)
    before = [path for path in paths if status(client, "get", path) == 200]
    screen_off(firm, firm.bob)
    assert {status(client, "get", path) for path in before} == {404}
    with firm_scope(firm.tenant.id):
        assert Screen.objects.filter(lifted_at=None).count() == 2
