"""The one place that says how each process is started. `make run`, Dockerfile and compose all use it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from workers.supervisor.devices import ANY, Device, environment_of

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_MODEL = "SmolLM2-135M-Instruct"
LOOPBACK = "127.0.0.1"
WEB_PORT = 8800
ENGINE_PORT = 8801


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the processes listen and their data lies, the prepared base model's folder, and what trains.

    `own_engine` says that an engine is among them; `engine_token` is its own, where it does not have the
    shared one.
    """

    home: Path
    model: Path
    host: str = LOOPBACK
    port: int = WEB_PORT
    engine_port: int = ENGINE_PORT
    engine_token: str = field(default="", repr=False)
    own_engine: bool = True
    training: tuple[Device, ...] = (ANY,)

    @property
    def web_url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def engine_url(self) -> str:
        return f"http://{LOOPBACK}:{self.engine_port}"


@dataclass(frozen=True)
class Command:
    """`health` is the address that answers 200 once the process can be used, if it has one.

    `environment` is what the process has on top of its parent's. `again` says that it is started again when
    it ends by itself: it keeps nothing that another process would miss.
    """

    name: str
    title: str
    arguments: tuple[str, ...]
    health: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    again: bool = False


def commands(place: Place) -> dict[str, Command]:
    """Every process by name: first the steps that end by themselves, then the processes that stay."""
    celery = ("-m", "celery", "--app", "workers.app")
    worker = (*celery, "worker", "--loglevel", "INFO")
    table = [
        Command("migrate", "Bringing the database up to date", ("manage.py", "migrate", "--no-input")),
        Command(
            "prepare",
            "Preparing the base model, once",
            ("-m", "workers.engine.prepare", "--home", str(place.home)),
        ),
        Command("seed", "Making the demo firms", ("manage.py", "seed_demo")),
        Command(
            "web",
            "web",
            (
                *("-m", "uvicorn", "webapp.asgi:application"),
                *("--host", place.host, "--port", str(place.port), "--lifespan", "off"),
                # An answer that still streams must not keep the process from ending.
                *("--timeout-graceful-shutdown", "3", "--no-access-log", "--no-server-header"),
            ),
            health=f"{place.web_url}/healthz",
        ),
        Command(
            "documents",
            "documents worker",
            (*worker, "--queues", "documents", "--concurrency", "2", "--hostname", "documents@%h"),
        ),
        *(
            Command(
                device.name,
                "training worker",
                (*worker, "--queues", "training", "--pool", "solo", "--hostname", f"{device.name}@%h"),
                environment=environment_of(device, place.training, os.environ),
            )
            for device in place.training
        ),
        # The schedule is a few seconds long: nothing to remember from one start to the next.
        Command("beat", "beat", (*celery, "beat", "--scheduler", "celery.beat:Scheduler")),
        Command(
            "engine",
            "engine",
            (
                *("-m", "workers.serving", "--host", place.host, "--port", str(place.engine_port)),
                *("--model", str(place.model), "--adapters-root", str(place.home / "storage" / "adapters")),
            ),
            health=f"{place.engine_url}/health",
            environment={"HOUSESTYLE_ENGINE_TOKEN": place.engine_token} if place.engine_token else {},
            again=True,
        ),
    ]
    return {
        command.name: replace(command, arguments=(sys.executable, *command.arguments)) for command in table
    }


def database_users(place: Place) -> tuple[str, ...]:
    """The processes that start when the database is up to date. Of those that stay, the engine needs none."""
    return ("web", "documents", *(device.name for device in place.training), "beat")


def default_home() -> Path:
    return Path(os.environ.get("HOUSESTYLE_HOME") or ROOT / ".housestyle").resolve()


def default_model(home: Path) -> Path:
    name = os.environ.get("HOUSESTYLE_BASE_MODEL", DEFAULT_MODEL)
    return Path(os.environ.get("HOUSESTYLE_MODEL_DIR") or home / "models" / name)
