"""The pages of usage and limits, and what programs read of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.test import Client
from django.utils import timezone

from tests.conftest import Firm
from tests.factories import approved, used
from tests.tenancy.matters import into_matter, screen_off
from tests.usage.conftest import Ask, put_live, rows
from tests.usage.scripted import RunningScript
from webapp.audit.models import Event
from webapp.core.embedded.valkey import Valkey
from webapp.core.tenancy import firm_scope
from webapp.tenants.models import ApiKey, Membership
from webapp.usage import reports, selectors, services, upkeep
from webapp.usage.models import Ending, Source, TextLog, UsageRow
from webapp.usage.reports import Period

pytestmark = [pytest.mark.django_db, pytest.mark.xdist_group("web")]
SignIn = Callable[[Membership], Client]


def words(answer: Any) -> str:
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def test_it_says_when_nothing_was_asked(signed_in: SignIn, firm: Firm) -> None:
    assert "Nothing was asked yet" in words(signed_in(firm.erin).get("/usage/"))


@pytest.mark.parametrize("by", ["hour", "day", "month", "nonsense"])
def test_it_shows_sums_by_period_key_and_version(signed_in: SignIn, firm: Firm, by: str) -> None:
    used(firm, approved(firm, by=firm.alice, approver=firm.bob))
    page = words(signed_in(firm.alice).get(f"/usage/?by={by}"))
    assert "1 request, 0 of them ended with an error. 7 tokens in, 5 out." in page
    for name in ("Playground", "briefs@1"):
        assert name in page


def test_the_export_says_what_the_page_says(signed_in: SignIn, firm: Firm) -> None:
    used(firm, approved(firm, by=firm.alice, approver=firm.bob))
    answer = signed_in(firm.erin).get("/usage/export/?by=hour")
    head, *lines = answer.content.decode().splitlines()
    assert head == "hour,requests,errors,tokens_in,tokens_out,tokens_unknown,ttft_ms"
    assert len(lines) == reports.HOURS
    assert lines[-1].split(",")[1:6] == ["1", "0", "7", "5", "0"]


def test_periods_are_whole_and_follow_one_another() -> None:
    now = datetime(2026, 3, 1, 0, 30, tzinfo=UTC)
    days = reports.beginnings(Period.DAY, now)
    assert days[-2:] == [datetime(2026, 2, 28, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)]
    months = reports.beginnings(Period.MONTH, now)
    assert (months[0], months[-1]) == (datetime(2025, 4, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC))
    assert len(months) == 12


def test_who_is_screened_off_sees_nothing_of_a_versions_usage(signed_in: SignIn, firm: Firm) -> None:
    used(firm, approved(firm, by=firm.alice, approver=firm.bob))
    into_matter(firm)
    screen_off(firm, firm.alice)
    assert "briefs@1" not in words(signed_in(firm.alice).get("/usage/"))
    assert "briefs@1" in words(signed_in(firm.bob).get("/usage/"))


def test_an_admin_sets_limits_of_the_firm_and_of_a_key(signed_in: SignIn, firm: Firm) -> None:
    firm.key(firm.alice)
    with firm_scope(firm.tenant.id):
        key = ApiKey.objects.get()
    admin = signed_in(firm.dora)
    assert "32" in admin.get("/settings/limits/").content.decode(), "what holds without a choice is shown"
    admin.post("/settings/limits/", {"monthly_tokens": "1000", "concurrent": ""})
    admin.post(f"/settings/keys/{key.id}/limits/", {"requests_per_minute": "5"})
    with firm_scope(firm.tenant.id):
        terms = selectors.terms(firm.tenant.id, key)
        assert Event.objects.filter(action="usage.limits_set").count() == 2
    assert (terms.firm.monthly, terms.firm.concurrent, terms.key.requests) == (1000, None, 5)
    used(firm, approved(firm, by=firm.alice, approver=firm.bob))
    for path in ("/settings/limits/", "/usage/"):
        assert "12 of 1,000 tokens used this month" in words(admin.get(path))


@pytest.mark.parametrize("number", ["0", "-1", "many"])
def test_a_limit_of_nothing_is_refused(signed_in: SignIn, firm: Firm, number: str) -> None:
    answer = signed_in(firm.dora).post("/settings/limits/", {"concurrent": number})
    assert "field-wrong" in answer.content.decode()
    with firm_scope(firm.tenant.id):
        assert not selectors.limits(firm.tenant.id)


def test_only_an_admin_sets_limits_and_keeps_texts(signed_in: SignIn, firm: Firm) -> None:
    for member in (firm.alice, firm.bob, firm.erin):
        for path in ("/settings/limits/", "/settings/limits/texts/"):
            assert signed_in(member).post(path, {"days": "3"}).status_code == 403


def test_a_keys_limits_outlive_its_rotation(firm: Firm) -> None:
    from webapp.gateway import services as gateway

    firm.key(firm.alice)
    with firm_scope(firm.tenant.id):
        old = ApiKey.objects.get()
        services.set_limits(member=firm.dora, key=old, numbers={"monthly_tokens": 100})
        old.member = firm.alice
        new, _ = gateway.rotate_key(member=firm.alice, key=old)
        terms = selectors.terms(firm.tenant.id, new)
        assert (terms.key.monthly, terms.counted_as) == (100, old.id)
        services.set_limits(member=firm.dora, key=new, numbers={"monthly_tokens": 50})
        assert selectors.terms(firm.tenant.id, old).key.monthly == 50
        row_id = services.open_row(
            member=firm.alice,
            key=new,
            version=None,
            source=Source.CHAT,
            started_at=timezone.now(),
            reserved=30,
        )
        assert selectors.used_this_month(firm.tenant.id, key_id=old.id) == 30
        end = services.End(200, Ending.ANSWERED, tokens_in=2, tokens_out=3)
        services.close_row(tenant_id=firm.tenant.id, row_id=row_id, end=end)
        assert selectors.used_this_month(firm.tenant.id, key_id=old.id) == 5


def test_it_says_that_redis_is_away(signed_in: SignIn, firm: Firm, own_redis: Valkey) -> None:
    assert "Redis is away" not in words(signed_in(firm.alice).get("/usage/"))
    own_redis.stop()
    assert "Redis is away" in words(signed_in(firm.alice).get("/usage/"))


def test_texts_are_kept_sealed_once_an_admin_wants_that_and_read_by_few(
    ask: Ask, with_script: RunningScript, signed_in: SignIn, firm: Firm, settings: Any
) -> None:
    put_live(firm)
    signed_in(firm.dora).post("/settings/limits/texts/", {"on": "on", "days": "3"})
    assert ask(firm.key(firm.alice), tokens=2).status_code == 200
    (row,) = rows(firm)
    assert row.text_until is not None and row.text_until - row.started_at > timedelta(days=2, hours=23)
    page = f"/usage/requests/{row.id}/text/"
    for member in (firm.dora, firm.erin):
        shown = words(signed_in(member).get(page))
        assert "word word" in shown and "tokens" in shown
    assert signed_in(firm.alice).get(page).status_code == 403
    with firm_scope(firm.tenant.id):
        assert Event.objects.filter(action="usage.text_read").count() == 2
        assert b"word" not in default_storage.open(row.text_name).read()
        assert not [event for event in Event.objects.all() if "word word" in str(event.data)]


def test_a_text_is_gone_when_its_days_are_over(firm: Firm) -> None:
    row_id = used(firm, approved(firm, by=firm.alice, approver=firm.bob))
    (row,) = rows(firm)
    assert upkeep.forget_old_texts() == 0
    with firm_scope(firm.tenant.id):
        UsageRow.objects.filter(id=row_id).update(text_until=timezone.now() - timedelta(seconds=1))
    assert upkeep.forget_old_texts() == 1
    (left,) = rows(firm)
    assert (left.text_name, left.tokens_in) == ("", 7)
    assert not default_storage.exists(row.text_name)


def test_keeping_texts_can_be_turned_off_again(signed_in: SignIn, firm: Firm) -> None:
    admin = signed_in(firm.dora)
    admin.post("/settings/limits/texts/", {"on": "on", "days": "3"})
    admin.post("/settings/limits/texts/", {"days": "3"})
    with firm_scope(firm.tenant.id):
        assert not TextLog.objects.get().on
        assert selectors.terms(firm.tenant.id).text_days is None
        assert Event.objects.filter(action__startswith="usage.texts_").count() == 2


def test_programs_read_the_sums(signed_in: SignIn, firm: Firm) -> None:
    used(firm, approved(firm, by=firm.alice, approver=firm.bob))
    client = signed_in(firm.erin)
    (line,) = client.get("/api/v1/usage/").json()["results"]
    assert (line["requests"], line["tokens_in"], line["version_name"]) == (1, 7, "briefs@1")
    assert line["key"] is line["key_name"] is None
    later = (timezone.now() + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert client.get(f"/api/v1/usage/?since={later}").json()["count"] == 0
    assert client.get(f"/api/v1/usage/?until={later}").json()["count"] == 1
    assert client.get("/api/v1/usage/?since=yesterday").status_code == 400
