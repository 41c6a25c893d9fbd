"""The pages of adapters, as far as they say and change what answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests.conftest import Firm
from tests.release.conftest import Versions, versions  # noqa: F401  # a fixture
from webapp.core.tenancy import tenant_scope
from webapp.serving import rollouts, selectors, services
from webapp.serving.models import ShadowResult

SignIn = Callable[..., Client]

pytestmark = pytest.mark.django_db


def url(version: Any, act: str = "") -> str:
    return f"/adapters/versions/{version.id}/{act}"


def page_after(client: Client, path: str, data: dict[str, str] | None = None) -> str:
    return client.post(path, data or {}, follow=True).content.decode()


def test_a_share_is_sent_raised_and_put_live(
    firm: Firm,
    versions: Versions,  # noqa: F811
    signed_in: SignIn,
) -> None:
    bob, second = signed_in(firm.bob), versions.second
    page = bob.get(url(second)).content.decode()
    assert [f'value="{share}"' in page for share in (5, 10, 25, 50, 100)] == [True] * 5
    assert "nobody reads its answers" in page, "what a shadow is"

    page = page_after(bob, url(second, "share/"), {"share": "5"})
    assert "briefs@2 answers 5% of the requests." in page
    assert 'value="5" aria-pressed="true"' in page and "On trial" in page
    adapters = bob.get("/adapters/").content.decode()
    assert "briefs@2</a></h2>" in adapters and "It answers 5% of the requests" in adapters

    page = page_after(bob, url(second, "share/"), {"share": "50", "shadow": "on"})
    assert "briefs@2 answers a copy of 50% of the requests, for nobody to read." in page
    assert "No copy has been answered yet." in page

    page = page_after(bob, url(second, "share/"), {"share": "100"})
    assert "briefs@2 is live." in page
    assert "begun by Bob: put live by Bob" in page
    assert "Roll back to briefs@1" in page


@pytest.mark.parametrize("share", ["", "half", "101", "-5", "٥"])
def test_what_is_no_percentage_is_refused_with_a_sentence(
    firm: Firm,
    versions: Versions,  # noqa: F811
    signed_in: SignIn,
    share: str,
) -> None:
    page = page_after(signed_in(firm.bob), url(versions.second, "share/"), {"share": share})
    assert "Send a share between 0 and 100 percent." in page


def test_a_trial_is_ended_from_its_page(
    firm: Firm,
    versions: Versions,  # noqa: F811
    signed_in: SignIn,
) -> None:
    bob = signed_in(firm.bob)
    page_after(bob, url(versions.second, "share/"), {"share": "5"})
    page = page_after(bob, url(versions.second, "withdraw/"))
    assert "briefs@2 is no longer on trial" in page
    assert "The last trial" in page and "Withdrawn." in page


def test_a_roll_back_is_one_click_on_both_pages(
    firm: Firm,
    versions: Versions,  # noqa: F811
    signed_in: SignIn,
) -> None:
    bob = signed_in(firm.bob)
    assert "Roll back" not in bob.get("/adapters/").content.decode(), "nothing was live before the first"
    with tenant_scope(firm.tenant.id):
        services.put_live(member=firm.bob, version=versions.second)
    for path in ("/adapters/", url(versions.second)):
        page = bob.get(path).content.decode()
        assert f'action="{url(versions.first, "roll-back/")}" data-confirm="Roll back to briefs@1?"' in page
    assert "briefs@1 is live again." in page_after(bob, url(versions.first, "roll-back/"))
    assert "changed meanwhile" in page_after(bob, url(versions.first, "roll-back/")), "a colleague's click"


def test_what_was_taken_off_can_be_put_back(
    firm: Firm,
    versions: Versions,  # noqa: F811
    signed_in: SignIn,
) -> None:
    bob = signed_in(firm.bob)
    page = page_after(bob, "/adapters/take-off/")
    assert "<h2>Nothing is live</h2>" in page and "Roll back to briefs@1" in page
    assert "put a version live" in signed_in(firm.alice).get("/adapters/").content.decode()


def test_a_retired_version_says_who_retired_it_and_offers_nothing(
    firm: Firm,
    versions: Versions,  # noqa: F811
    signed_in: SignIn,
) -> None:
    bob = signed_in(firm.bob)
    page = page_after(bob, url(versions.second, "retire/"))
    assert "briefs@2 is retired; it never answers again." in page
    assert "Bob retired it on" in page
    assert "Put live" not in page and "Compare in the playground" not in page
    assert "is retired and never answers again" in page_after(bob, url(versions.second, "put-live/"))


@pytest.mark.parametrize("person", ["alice", "dora", "erin"])
def test_others_read_the_state_and_see_no_controls(
    firm: Firm,
    versions: Versions,  # noqa: F811
    signed_in: SignIn,
    person: str,
) -> None:
    with tenant_scope(firm.tenant.id):
        services.put_live(member=firm.bob, version=versions.second)
        rollouts.send_share(member=firm.bob, version=versions.first, share=25)
    client = signed_in(firm.people[person])
    for path in ("/adapters/", url(versions.first), url(versions.second)):
        page = client.get(path).content.decode()
        assert "On trial" in page or "on trial beside it" in page
        for act in ("share/", "roll-back/", "withdraw/", "retire/", "put-live/", "take-off/"):
            assert act not in page, (path, act)
    for act in ("share/", "roll-back/", "withdraw/", "retire/"):
        assert client.post(url(versions.first, act), {"share": "5"}).status_code == 403


def test_the_numbers_of_copies_are_shown(
    firm: Firm,
    versions: Versions,  # noqa: F811
    signed_in: SignIn,
) -> None:
    with tenant_scope(firm.tenant.id):
        trial = rollouts.send_share(member=firm.bob, version=versions.second, share=50, shadow=True)
        told = {"tenant": firm.tenant, "rollout": trial, "live_milliseconds": 1800, "live_characters": 120}
        answers: list[dict[str, Any]] = [
            {"milliseconds": 100, "characters": 100, "same": True},
            {"milliseconds": 300, "characters": 110, "same": False},
            {"milliseconds": 500, "characters": 150, "same": None},
            {"milliseconds": 9000, "error": "unavailable"},
        ]
        for answer in answers:
            ShadowResult.objects.create(**told, **answer)
        numbers = selectors.shadow_numbers(trial)
    assert (numbers.copies, numbers.answered, numbers.errors) == (4, 3, 1)
    assert (numbers.median, numbers.live_median, numbers.length) == (300, 1800, 120)
    assert (numbers.same, numbers.compared, numbers.same_share) == (1, 2, 0.5)
    page = signed_in(firm.erin).get(url(versions.second)).content.decode()
    for words in ("<dd>3<span>1 error<", "<dd>300 ms<", "the live version: 1.8 s", "<dd>50%<", "of 2 asked"):
        assert words in page, words
