"""The running product: the supervisor, with everything it supervises, on ports and data of its own."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
import psycopg2

from webapp.core.embedded.valkey import free_port

ROOT = Path(__file__).parent.parent
START_SECONDS = 240
_numbers = itertools.count()


@dataclass(frozen=True)
class Product:
    url: str
    home: Path
    firms: list[dict[str, Any]]
    process: subprocess.Popen[bytes]

    def browse(self, firm: int, role: str) -> Browser:
        return Browser(self.url, **self.firms[firm][role])


class Browser(httpx.Client):
    """A signed-in session that uses the REST API as the pages' scripts do: cookie and CSRF token."""

    def __init__(self, url: str, email: str, password: str) -> None:
        super().__init__(base_url=url, timeout=30, headers={"Referer": url})
        self.get("/sign-in/").raise_for_status()
        token = self.cookies["csrftoken"]
        answer = self.post(
            "/sign-in/", data={"username": email, "password": password, "csrfmiddlewaretoken": token}
        )
        assert answer.status_code == 302, f"{email} could not sign in: {answer.status_code}"
        self.headers["X-CSRFToken"] = self.cookies["csrftoken"]

    def api(self, method: str, path: str, **kwargs: Any) -> Any:
        answer = self.request(method, f"/api/v1/{path}", **kwargs)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def wait(self, path: str, *, until: set[str], seconds: float = 900) -> Any:
        """Ask for `path` until its state is one of `until`; returns the last answer."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.api("GET", path)
            if found["state"] in until:
                return found
            assert time.monotonic() < deadline, f"{path} is still {found['state']}"
            time.sleep(0.3)


@contextmanager
def running_product(*, home: Path, model: Path, demo: bool = True) -> Iterator[Product]:
    """Start the product as `make run` does, wait for it, and leave no process behind."""
    number = next(_numbers)
    name = f"housestyle_product_{os.getpid()}_{number}"
    with _database(name) as database_url:
        web, engine = free_port(), free_port()
        environment = {
            **os.environ,
            "HOUSESTYLE_HOME": str(home),
            "DATABASE_URL": database_url,
            "REDIS_URL": _other_redis(os.environ["REDIS_URL"], number),
        }
        log = home / "supervisor.log"
        home.mkdir(parents=True, exist_ok=True)
        command = [
            sys.executable,
            "-m",
            "workers.supervisor",
            "--port",
            str(web),
            "--engine-port",
            str(engine),
        ]
        command += ["--model", str(model)]
        with log.open("wb") as out:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            url = f"http://127.0.0.1:{web}"
            _wait_for(url, home, process, log)
            firms = json.loads((home / "demo.json").read_text())["firms"]
            yield Product(url, home, firms, process)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=60)


def _wait_for(url: str, home: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"the product did not start:\n{log.read_text()}")
        if b"Housestyle is ready" in log.read_bytes():
            return
        time.sleep(0.2)


@contextmanager
def _database(name: str) -> Iterator[str]:
    """An empty database of its own on the tests' server."""
    server = urlsplit(os.environ["DATABASE_URL"])
    admin = psycopg2.connect(urlunsplit(server._replace(path="/postgres")))
    admin.autocommit = True
    with admin.cursor() as cursor:
        cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        cursor.execute(f'CREATE DATABASE "{name}"')
        try:
            yield urlunsplit(server._replace(path=f"/{name}"))
        finally:
            cursor.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
            admin.close()


def _other_redis(url: str, number: int) -> str:
    """A Redis database apart from the tests' own, number 0, and from those of products beside this one."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return urlunsplit(urlsplit(url)._replace(path=f"/{1 + (worker * 7 + number % 7) % 15}"))
