"""The web process and the engine as they run in production, on the test database, for tests that stream.

The engine serves the tiny model; two adapters, made once, give each firm answers that are its own.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import httpx
import pytest
from django.conf import settings
from django.db import connection

from tests.models import tiny_model_folder
from tests.serving.engines import ROOT, TOKEN, RunningEngine, make_adapter, running_engine
from webapp.core.embedded.valkey import free_port

if TYPE_CHECKING:
    from tests.conftest import Firm
    from webapp.adapters.models import AdapterVersion
    from webapp.tenants.models import Membership

START_SECONDS = 60
WEIGHTS = "adapter_model.safetensors"


@dataclass(frozen=True)
class Web:
    """A running web process and the engine behind it."""

    url: str
    engine: RunningEngine

    @property
    def openai_url(self) -> str:
        return f"{self.url}/v1"


@pytest.fixture(scope="session")
def styles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two adapters of the tiny model that answer unlike each other and unlike the base."""
    root = tmp_path_factory.mktemp("styles")
    tiny = tiny_model_folder()
    return [
        make_adapter(tiny, root / name, rank=8, seed=seed) for seed, name in enumerate(("one", "two"), 11)
    ]


@pytest.fixture(scope="session")
def live_engine() -> Iterator[RunningEngine]:
    root = Path(settings.ADAPTERS_DIR)
    root.mkdir(parents=True, exist_ok=True)
    with running_engine(tiny_model_folder(), "--adapters-root", str(root)) as engine:
        yield engine


@pytest.fixture
def with_engine(live_engine: RunningEngine, settings: Any) -> RunningEngine:
    """Lets the web code in this process, as Django's test client runs it, find the engine."""
    settings.ENGINE_URL, settings.ENGINE_TOKEN = live_engine.url, TOKEN
    return live_engine


@pytest.fixture(scope="session")
def web(live_engine: RunningEngine, django_db_setup: None) -> Iterator[Web]:
    """A web process on the test database. Tests that use it commit: `django_db(transaction=True)`."""
    with running_web(live_engine.url) as (url, _):
        yield Web(url, live_engine)


@contextmanager
def running_web(engine_url: str, **more: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A web process on the test database, which asks this engine; `more` goes into its environment."""
    port = free_port()
    database = urlsplit(os.environ["DATABASE_URL"])
    environment = {
        **os.environ,
        "DATABASE_URL": urlunsplit(database._replace(path=f"/{connection.settings_dict['NAME']}")),
        "HOUSESTYLE_ENGINE_URL": engine_url,
        "HOUSESTYLE_ENGINE_TOKEN": TOKEN,
        **more,
    }
    command = [sys.executable, "-m", "uvicorn", "webapp.asgi:application", "--port", str(port)]
    process = subprocess.Popen([*command, "--log-level", "warning"], cwd=ROOT, env=environment)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{url}/v1/models", process)
        yield url, process
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        assert process.poll() is None, "the web process ended"
        assert time.monotonic() < deadline, "the web process does not answer"
        try:
            httpx.get(url)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return


def learned(
    firm: Firm, style: Path, *, by: Membership, approver: Membership | None = None, name: str = "briefs"
) -> AdapterVersion:
    """A version with the real files of `style`; a candidate, or approved where there is an approver."""
    from tests.factories import end_job, queued_run
    from webapp.adapters import services as adapters
    from webapp.core import storage
    from webapp.core.tenancy import tenant_scope

    run = queued_run(firm, by=by, adapter_name=name)
    version_id = uuid.uuid4()
    folder = storage.adapter_dir(firm.tenant.id, version_id)
    shutil.copytree(style, folder, ignore=shutil.ignore_patterns("README.md"))
    weights = (folder / WEIGHTS).read_bytes()
    with tenant_scope(firm.tenant.id):
        end_job(run.job)
        version = adapters.add_version(
            run=run, version_id=version_id, sha256=hashlib.sha256(weights).hexdigest(), size=len(weights)
        )
        if approver is not None:
            adapters.decide(member=approver, version=version, decision="approved")
    return version


def live(
    firm: Firm, style: Path, *, by: Membership, approver: Membership, name: str = "briefs"
) -> AdapterVersion:
    """An approved version that answers the firm's programs."""
    from webapp.core.tenancy import tenant_scope
    from webapp.serving import services as serving

    version = learned(firm, style, by=by, approver=approver, name=name)
    with tenant_scope(firm.tenant.id):
        serving.put_live(member=approver, version=version)
    return version


def own_words(engine: RunningEngine, style: Path, prompt: str, *, max_tokens: int = 12) -> str:
    """What this adapter says to `prompt`, asked of the engine directly and greedily."""
    name = f"reference-{engine.process.pid}-{style.name}"  # another process's engine shares the folder
    folder = Path(settings.ADAPTERS_DIR) / name
    if not folder.exists():
        shutil.copytree(style, folder)
        assert engine.load(name, folder).status_code == 200
    answer = engine.chat(name, prompt, max_tokens=max_tokens).json()
    text: str = answer["choices"][0]["message"]["content"]
    return text
