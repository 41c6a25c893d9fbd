"""kill -9 on the engine under the supervisor's eyes, while a client of the gateway reads its answer."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
import openai
import pytest
from django.conf import settings
from django.db import connection

from tests.conftest import Firm
from tests.live import live
from tests.models import tiny_model_folder
from tests.serving.engines import TOKEN
from webapp.core.embedded.valkey import free_port
from webapp.serving import reconcile
from workers.supervisor.commands import Place, commands
from workers.supervisor.processes import POLL_SECONDS, Processes
from workers.supervisor.signals import StopRequests

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("web"),
]

WAIT_SECONDS = 60
PROMPT = "Put the citations of this passage into our house style."


@dataclass(frozen=True)
class Supervised:
    place: Place
    processes: Processes
    said: list[str]

    def kill_engine(self) -> None:
        os.kill(self.processes._running["engine"].pid, signal.SIGKILL)

    def wait_for_engine(self) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            assert time.monotonic() < deadline, "the engine did not come back"
            try:
                if httpx.get(f"{self.place.engine_url}/health").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)

    def loaded(self) -> set[str]:
        answer = httpx.get(f"{self.place.engine_url}/v1/models", headers={"Authorization": f"Bearer {TOKEN}"})
        return {card["id"] for card in answer.json()["data"]}


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Supervised]:
    """Web and engine as the supervisor starts and watches them, on the test database."""
    place = Place(home=settings.HOME, model=tiny_model_folder(), port=free_port(), engine_port=free_port())
    database = urlsplit(os.environ["DATABASE_URL"])
    environment = {
        "DATABASE_URL": urlunsplit(database._replace(path=f"/{connection.settings_dict['NAME']}")),
        "HOUSESTYLE_ENGINE_URL": place.engine_url,
        "HOUSESTYLE_ENGINE_TOKEN": TOKEN,
        "OMP_NUM_THREADS": "2",
    }
    Path(settings.ADAPTERS_DIR).mkdir(parents=True, exist_ok=True)
    said: list[str] = []
    processes = Processes(tmp_path, StopRequests(), verbose=False, say=said.append)
    table = commands(place)
    try:
        for name in ("engine", "web"):
            processes.start(replace(table[name], environment=environment))
        for name in ("engine", "web"):
            processes.wait_until_ready(table[name])
        with watched(processes):
            yield Supervised(place, processes, said)
    finally:
        processes.stop()


@contextmanager
def watched(processes: Processes) -> Iterator[None]:
    done = threading.Event()

    def watch() -> None:
        while not done.wait(POLL_SECONDS):
            processes.check()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_the_client_gets_an_error_event_and_the_next_request_is_served_once_the_engine_is_back(
    supervised: Supervised, firm: Firm, styles: list[Path]
) -> None:
    version = live(firm, styles[0], by=firm.alice, approver=firm.bob)
    client = openai.OpenAI(
        base_url=f"{supervised.place.web_url}/v1", api_key=firm.key(firm.alice), max_retries=0
    )

    def ask(max_tokens: int) -> openai.Stream[openai.types.chat.ChatCompletionChunk]:
        return client.chat.completions.create(
            model="",
            messages=[{"role": "user", "content": PROMPT}],
            max_tokens=max_tokens,
            temperature=0,
            stream=True,
        )

    def words() -> str:
        return "".join(chunk.choices[0].delta.content or "" for chunk in ask(8) if chunk.choices)

    before = words()
    stream = ask(1500)
    next(stream)
    supervised.kill_engine()
    with pytest.raises(openai.APIError, match="broke off because the model engine went away"):
        for _ in stream:
            pass

    after = ""
    while not after:  # until it is back, each request is told so
        with suppress(openai.InternalServerError):
            after = words()
    assert after == before
    assert supervised.said == ["The engine process ended by itself (signal 9) and is started again."]
    assert version.engine_name in supervised.loaded()


def test_a_restarted_engine_is_told_what_is_live_before_anybody_asks(
    supervised: Supervised, firm: Firm, styles: list[Path], settings: Any
) -> None:
    settings.ENGINE_URL, settings.ENGINE_TOKEN = supervised.place.engine_url, TOKEN
    version = live(firm, styles[0], by=firm.alice, approver=firm.bob)
    reconcile.reconcile()
    assert version.engine_name in supervised.loaded()
    supervised.kill_engine()
    while supervised.said == []:
        time.sleep(POLL_SECONDS)
    supervised.wait_for_engine()
    assert version.engine_name not in supervised.loaded()
    reconcile.reconcile()
    assert version.engine_name in supervised.loaded()
