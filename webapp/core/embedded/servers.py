"""Start the servers that the environment does not name."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

from webapp.core.embedded.postgres import Postgres
from webapp.core.embedded.valkey import Valkey


class Server(Protocol):
    """What the supervisor needs to know of one."""

    name: str
    log: Path
    process: subprocess.Popen[bytes] | None

    @property
    def url(self) -> str: ...
    def start(self, say: Callable[[str], None]) -> None: ...
    def stop(self) -> None: ...


def _ignore(_: str) -> None:
    pass


@contextmanager
def running(
    home: Path, *, durable: bool = True, say: Callable[[str], None] = _ignore
) -> Iterator[list[Server]]:
    """Start what DATABASE_URL and REDIS_URL do not name, name it in `os.environ`, and stop it at the end.

    Data lies in `home`/postgres and `home`/valkey, logs in `home`/logs. Raises ServerError.
    """
    wanted: list[tuple[str, Callable[[], Server]]] = [
        (
            "DATABASE_URL",
            lambda: Postgres(home / "postgres", home / "logs" / "postgres.log", durable=durable),
        ),
        ("REDIS_URL", lambda: Valkey(home / "valkey", home / "logs" / "valkey.log")),
    ]
    started: list[Server] = []
    with ExitStack() as stack:
        for variable, make in wanted:
            if os.environ.get(variable):
                continue
            server = make()
            stack.callback(server.stop)
            say(f"Starting {server.name}")
            server.start(say)
            os.environ[variable] = server.url
            stack.callback(os.environ.pop, variable, None)
            started.append(server)
        yield started
