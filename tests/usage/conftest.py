from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client

from tests.conftest import Firm
from tests.factories import approved
from tests.serving.engines import TOKEN
from tests.usage.scripted import RunningScript, running_script
from webapp.adapters.models import AdapterVersion
from webapp.core.embedded.valkey import Valkey
from webapp.core.tenancy import firm_scope
from webapp.serving import services as serving
from webapp.usage.models import UsageRow

Ask = Callable[..., Any]


@pytest.fixture(scope="session")
def script() -> Iterator[RunningScript]:
    with running_script() as running:
        yield running


@pytest.fixture
def with_script(script: RunningScript, settings: Any) -> RunningScript:
    """Lets the web code in this process find the scripted engine."""
    settings.ENGINE_URL, settings.ENGINE_TOKEN, settings.ENGINES = script.url, TOKEN, ()
    script.engine.bodies.clear()
    return script


@pytest.fixture
def version(firm: Firm) -> AdapterVersion:
    """What is live in the firm."""
    return put_live(firm)


def put_live(firm: Firm, name: str = "briefs") -> AdapterVersion:
    made = approved(firm, by=firm.alice, approver=firm.bob, adapter_name=name)
    with firm_scope(firm.tenant.id):
        serving.put_live(member=firm.bob, version=made)
    return made


@pytest.fixture
def ask(client: Client) -> Ask:
    """Ask for a chat completion whose prompt tells the engine what to do."""

    def ask(key: str, body: Any = None, **script: Any) -> Any:
        content = body if isinstance(body, str) else json.dumps({**prompt(**script), **(body or {})})
        headers = {"Authorization": f"Bearer {key}"}
        return client.post("/v1/chat/completions", content, content_type="application/json", headers=headers)

    return ask


@pytest.fixture
def stream() -> Ask:
    """Ask for a stream in the same way; the events before its end. In one event loop, as a web process has
    it, and in the test's own transaction."""

    async def events(key: str, body: Any, script: dict[str, Any]) -> list[dict[str, Any]]:
        answer: Any = await AsyncClient().post(
            "/v1/chat/completions",
            json.dumps({**prompt(**script), "stream": True, **(body or {})}),
            content_type="application/json",
            headers={"Authorization": f"Bearer {key}"},
        )
        assert answer.status_code == 200, answer.content
        lines = b"".join([part async for part in answer.streaming_content]).decode().split("\n\n")
        return [json.loads(line.removeprefix("data: ")) for line in lines if line and "[DONE]" not in line]

    def stream(key: str, body: Any = None, **script: Any) -> list[dict[str, Any]]:
        return async_to_sync(events)(key, body, script)

    return stream


def prompt(**script: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": json.dumps(script)}]}


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A server of the module's own, which its tests may stop."""
    folder = tmp_path_factory.mktemp("valkey")
    server = Valkey(folder, folder / "valkey.log")
    server.start(print)
    yield server
    server.stop()


@pytest.fixture
def own_redis(valkey: Valkey, settings: Any) -> Valkey:
    """The module's server, running and empty, in the place of everybody's."""
    if valkey.process is None or valkey.process.poll() is not None:
        valkey.start(print)
    settings.REDIS_URL = valkey.url
    with redis.Redis.from_url(valkey.url) as client:
        client.flushall()
    return valkey


def rows(firm: Firm) -> list[UsageRow]:
    with firm_scope(firm.tenant.id):
        return list(UsageRow.objects.of(firm.tenant.id).order_by("started_at"))
