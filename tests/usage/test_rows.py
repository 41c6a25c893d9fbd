"""One row a request, whatever becomes of it, and no word of what was asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from tests.conftest import Firm
from tests.usage.conftest import Ask, rows
from tests.usage.scripted import RunningScript
from webapp.adapters.models import AdapterVersion
from webapp.core.tenancy import firm_scope
from webapp.usage import selectors, services
from webapp.usage.models import Ending, Source, UsageHour, UsageRow

pytestmark = [pytest.mark.django_db, pytest.mark.xdist_group("web")]


def assert_sums(firm: Firm) -> None:
    """The hours say exactly what the closed rows say."""
    with firm_scope(firm.tenant.id):
        closed = UsageRow.objects.of(firm.tenant.id).filter(status__isnull=False)
        hours = UsageHour.objects.of(firm.tenant.id).aggregate(**selectors.SUMS)
        assert hours["requests"] == closed.count()
        assert hours["errors"] == closed.filter(status__gte=400).count()
        for name in ("tokens_in", "tokens_out", "tokens_unknown"):
            assert hours[name] == sum(closed.values_list(name, flat=True)), name


def test_a_whole_answer_is_counted_as_the_engine_counts_it(
    ask: Ask, with_script: RunningScript, firm: Firm, version: AdapterVersion
) -> None:
    answer = ask(firm.key(firm.alice), tokens=7)
    assert answer.status_code == 200, answer.content
    (row,) = rows(firm)
    assert (row.status, row.ending, row.version_id) == (200, Ending.ANSWERED, version.id)
    assert row.tokens_in == answer.json()["usage"]["prompt_tokens"]
    assert row.tokens_out == 7
    assert row.key_id is not None and row.member_id == firm.alice.id
    assert row.ttft_ms is None and row.duration_ms is not None
    assert answer["x-request-id"] == row.request_id
    assert_sums(firm)


def test_every_answer_says_what_gave_it(
    ask: Ask, with_script: RunningScript, firm: Firm, version: AdapterVersion
) -> None:
    answer = ask(firm.key(firm.alice))
    assert answer["X-Housestyle-Adapter"] == "briefs@1"
    assert answer["X-Housestyle-Adapter-Version"] == "1"
    assert answer["X-Housestyle-Adapter-Digest"] == version.sha256
    assert answer["openai-processing-ms"].isdigit()


@pytest.mark.parametrize("usage", ["each", "end", "never"])
def test_a_stream_is_counted_however_much_the_engine_tells(
    stream: Ask, with_script: RunningScript, firm: Firm, version: AdapterVersion, usage: str
) -> None:
    events = stream(firm.key(firm.alice), tokens=5, usage=usage)
    assert len(events) == 5
    assert all("usage" not in event for event in events), "the client did not ask for it"
    (row,) = rows(firm)
    assert (row.status, row.tokens_out) == (200, 5)
    assert row.tokens_in > 0 and row.ttft_ms is not None
    asked = with_script.engine.bodies[-1]["stream_options"]
    assert asked == {"include_usage": True, "continuous_usage_stats": True}
    assert_sums(firm)


def test_a_stream_tells_its_usage_at_the_end_to_who_asks_for_it(
    stream: Ask, with_script: RunningScript, firm: Firm, version: AdapterVersion
) -> None:
    wanted = {"stream_options": {"include_usage": True}}
    *events, last = stream(firm.key(firm.alice), wanted, tokens=4)
    assert [event["usage"] for event in events] == [None] * 4
    assert last["choices"] == [] and last["usage"]["completion_tokens"] == 4


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ("{", 400, "invalid_json"),
        ({"tools": [{}]}, 400, "unknown_parameter"),
        ({"model": "nothing"}, 404, "model_not_found"),
    ],
    ids=["json", "parameter", "model"],
)
def test_what_is_refused_leaves_a_row_too(
    ask: Ask, firm: Firm, version: AdapterVersion, body: Any, status: int, code: str
) -> None:
    answer = ask(firm.key(firm.alice), body)
    assert answer.status_code == status
    (row,) = rows(firm)
    assert (row.status, row.ending, row.error) == (status, Ending.REFUSED, code)
    assert (row.tokens_in, row.tokens_out, row.reserved) == (0, 0, 0)
    assert answer["x-request-id"] == row.request_id
    assert_sums(firm)


@pytest.mark.parametrize("stream", [False, True])
def test_what_the_engine_refuses_costs_nothing(
    ask: Ask, with_script: RunningScript, firm: Firm, version: AdapterVersion, stream: bool
) -> None:
    assert ask(firm.key(firm.alice), {"stream": stream}, status=400).status_code == 400
    (row,) = rows(firm)
    assert (row.status, row.ending, row.error) == (400, Ending.REFUSED, "told_to")
    assert (row.tokens_in, row.tokens_out, row.tokens_unknown) == (0, 0, 0)
    assert_sums(firm)


def test_an_engine_that_is_away_leaves_a_row(
    ask: Ask, settings: Any, firm: Firm, version: AdapterVersion
) -> None:
    settings.ENGINE_URL = "http://127.0.0.1:1"
    settings.ENGINES = ()
    assert ask(firm.key(firm.alice)).status_code == 503
    (row,) = rows(firm)
    assert (row.status, row.ending, row.error) == (503, Ending.FAILED, "unavailable")


@pytest.mark.parametrize("usage", ["each", "never"])
def test_a_stream_that_breaks_off_is_counted_up_to_there(
    stream: Ask, with_script: RunningScript, firm: Firm, version: AdapterVersion, usage: str
) -> None:
    *events, last = stream(firm.key(firm.alice), tokens=9, die_after=4, usage=usage)
    assert len(events) == 4
    assert "error" in last
    (row,) = rows(firm)
    assert (row.status, row.ending, row.tokens_out) == (503, Ending.FAILED, 4)
    assert row.tokens_in > 0
    assert_sums(firm)


def test_a_row_closes_once(firm: Firm) -> None:
    with firm_scope(firm.tenant.id):
        row_id = services.record_refused(
            member=firm.alice,
            key=None,
            source=Source.PLAYGROUND,
            started_at=firm.tenant.created_at,
            status=400,
            code="x",
        )
    end = services.End(200, Ending.ANSWERED, tokens_in=5, tokens_out=5)
    assert not services.close_row(tenant_id=firm.tenant.id, row_id=row_id, end=end)
    assert_sums(firm)


def test_no_text_is_kept_anywhere(
    ask: Ask,
    stream: Ask,
    with_script: RunningScript,
    firm: Firm,
    version: AdapterVersion,
    caplog: Any,
    settings: Any,
) -> None:
    files = set(Path(settings.STORAGES["default"]["OPTIONS"]["location"]).glob("usage/**/*"))
    ask(firm.key(firm.alice), tokens=3)
    stream(firm.key(firm.alice), tokens=3)
    with firm_scope(firm.tenant.id), connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(r::text, ' ') FROM usage_usagerow r")
        written = cursor.fetchone()[0]
    for word in ("word", "tokens\\\\", "content"):
        assert word not in written
        assert word not in caplog.text
    assert set(Path(settings.STORAGES["default"]["OPTIONS"]["location"]).glob("usage/**/*")) == files
