"""Servers, a home and processes of the product for a benchmark, thrown away after it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from webapp.core.embedded.valkey import free_port

if TYPE_CHECKING:
    from webapp.tenants.models import Membership

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".housestyle"
MODEL = "SmolLM2-135M-Instruct"
PASSWORD = "a password of this run only"


@contextmanager
def product() -> Iterator[dict[str, str]]:
    """The environment of processes that share a migrated database, a broker and a prepared base model."""
    from webapp.core import embedded

    if not (HOME / "models" / MODEL / "config.json").exists():
        command = [sys.executable, "-m", "workers.engine.prepare", "--home", str(HOME)]
        subprocess.run(command, cwd=ROOT, check=True)
    with tempfile.TemporaryDirectory(prefix="housestyle-bench-") as folder:
        before = dict(os.environ)
        os.environ["HOUSESTYLE_HOME"] = folder
        os.environ["HOUSESTYLE_MODEL_DIR"] = str(HOME / "models" / MODEL)
        try:
            (Path(folder) / "static").mkdir()  # looked for at every start of the web process
            with embedded.running(Path(folder), durable=False):
                environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "webapp.settings"}
                command = [sys.executable, "manage.py", "migrate", "--no-input", "--verbosity", "0"]
                subprocess.run(command, cwd=ROOT, env=environment, check=True)
                yield environment
        finally:
            os.environ.clear()
            os.environ.update(before)


@contextmanager
def web() -> Iterator[str]:
    """A web process; where it listens."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "webapp.asgi:application", "--port", str(port)]
    process = subprocess.Popen([*command, "--log-level", "warning"], cwd=ROOT)
    try:
        deadline = time.monotonic() + 60
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert time.monotonic() < deadline, "the web process does not answer"
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def a_member() -> Membership:
    """A paralegal of a new firm."""
    django()
    from webapp.core.tenancy import firm_scope
    from webapp.tenants import selectors, services
    from webapp.tenants.models import Role

    firm = services.create_firm(name="Benchmark LLP")
    with firm_scope(firm.id):
        made = services.add_member(
            tenant_id=firm.id,
            by=None,
            email="paralegal@benchmark.example",
            name="Paralegal",
            role=Role.STAFF,
            password=PASSWORD,
        )
        return selectors.member(firm.id, made.id)


def django() -> Any:
    from django import setup

    setup()
