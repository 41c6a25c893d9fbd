"""What must hold before anything is started."""

from __future__ import annotations

import errno
import fcntl
import importlib.util
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workers.supervisor.commands import LOOPBACK, Place
from workers.supervisor.errors import StartError

NEEDED = ("django", "celery", "uvicorn", "psycopg2", "redis", "torch", "transformers", "peft", "psutil")


def check_packages() -> None:
    """Raises StartError naming every package that is not installed."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise StartError(f"Not installed: {', '.join(missing)}; run `make setup` first.")


def check_ports(place: Place) -> None:
    """Raises StartError for a port that another program holds."""
    ports = [("--port", place.port)]
    if place.own_engine:
        ports.append(("--engine-port", place.engine_port))
    if place.own_engine and place.port == place.engine_port:
        raise StartError("Web and engine need two ports: give --port and --engine-port different numbers.")
    for option, port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError as error:
                taken = error.errno == errno.EADDRINUSE
                raise StartError(
                    f"Port {port} {'is taken' if taken else 'cannot be used'}: stop the program that has it, "
                    f'or choose another (make run ARGS="{option} {port + 100}").'
                ) from None
            except OverflowError:
                raise StartError(f"{port} is no port: choose a number from 1024 to 65535.") from None


def check_model(place: Place) -> None:
    """Raises StartError when a base model was named and is not there."""
    if not (place.model / "config.json").exists():
        raise StartError(
            f"{place.model} holds no prepared base model: leave --model out, and it is prepared here."
        )


@contextmanager
def only_one(home: Path) -> Iterator[None]:
    """Hold the folder of data: two supervisors would start two databases on the same files."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(home / "supervisor.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StartError(
            f"{home} cannot be written ({error.strerror}): name another folder in HOUSESTYLE_HOME."
        ) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartError(
                f"Housestyle already runs with the data in {home}: stop it first, "
                "or name another folder in HOUSESTYLE_HOME."
            ) from None
        yield
    finally:
        os.close(descriptor)
