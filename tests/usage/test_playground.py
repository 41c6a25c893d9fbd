"""What people ask in the playground counts as what programs ask does."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client

from tests.conftest import Firm
from tests.usage.conftest import rows
from tests.usage.scripted import RunningScript
from webapp.adapters.models import AdapterVersion
from webapp.core.tenancy import firm_scope
from webapp.usage import services
from webapp.usage.models import Ending, Source

pytestmark = [pytest.mark.django_db, pytest.mark.xdist_group("web")]


@pytest.fixture
def compare(firm: Firm, signed_in: Callable[..., Client], with_script: RunningScript) -> Callable[..., Any]:
    session = signed_in(firm.alice).cookies["sessionid"].value

    async def answer(column: str, script: dict[str, Any]) -> tuple[int, str]:
        client = AsyncClient()
        client.cookies["sessionid"] = session
        body = {"column": column, "prompt": json.dumps(script), "max_tokens": 50}
        found: Any = await client.post(
            "/playground/answer/", json.dumps(body), content_type="application/json"
        )
        parts = [part async for part in found.streaming_content] if found.streaming else [found.content]
        return found.status_code, b"".join(parts).decode()

    return lambda column, **script: async_to_sync(answer)(column, script)


def test_an_answer_is_a_row_of_its_person(
    compare: Callable[..., Any], firm: Firm, version: AdapterVersion
) -> None:
    status, _ = compare(str(version.id), tokens=6)
    assert status == 200
    (row,) = rows(firm)
    assert (row.status, row.ending, row.source) == (200, Ending.ANSWERED, Source.PLAYGROUND)
    assert (row.key_id, row.member_id, row.version_id) == (None, firm.alice.id, version.id)
    assert row.tokens_out == 6 and row.tokens_in > 0


def test_the_firms_limits_hold_there_too(compare: Callable[..., Any], firm: Firm) -> None:
    with firm_scope(firm.tenant.id):
        services.set_limits(member=firm.dora, key=None, numbers={"requests_per_minute": 1})
    assert compare("base", tokens=1)[0] == 200
    status, said = compare("base", tokens=1)
    assert status == 429
    assert "your firm: requests a minute, 1 at most" in said
    assert [row.status for row in rows(firm)] == [200, 429]


def test_one_that_breaks_off_is_counted_up_to_there(compare: Callable[..., Any], firm: Firm) -> None:
    _, said = compare("base", tokens=9, die_after=4)
    assert "error" in said
    (row,) = rows(firm)
    assert (row.ending, row.tokens_out) == (Ending.FAILED, 4)
