"""Start everything, watch it, and leave nothing behind."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from webapp.core import embedded, secrets
from workers.supervisor import checks
from workers.supervisor.commands import Command, Place, commands, database_users
from workers.supervisor.errors import StartError
from workers.supervisor.processes import POLL_SECONDS, Processes, ended_by_itself, kill_descendants
from workers.supervisor.signals import Interrupted, StopRequests


@dataclass(frozen=True)
class Options:
    place: Place
    model_named: bool
    demo: bool
    verbose: bool


def run(options: Options) -> int:
    """Run until somebody stops it. Returns 0 after Ctrl-C or SIGTERM, 1 when something went wrong."""
    stop = StopRequests()
    stop.install()
    try:
        with ExitStack() as stack:
            _run(options, stop, stack)
    except Interrupted:
        say("Stopped.")
        return 0
    except (StartError, embedded.ServerError) as error:
        print(error, file=sys.stderr, flush=True)
        return 1
    finally:
        kill_descendants()
    return 0


def _run(options: Options, stop: StopRequests, stack: ExitStack) -> None:
    began = time.monotonic()
    place = options.place
    checks.check_packages()
    stack.enter_context(checks.only_one(place.home))
    checks.check_ports(place)
    if options.model_named:
        checks.check_model(place)
    (place.home / "static").mkdir(exist_ok=True)  # looked for at every start of the web process
    os.environ.update(_environment(place))
    table = commands(place)
    processes = Processes(place.home / "logs", stop, verbose=options.verbose, say=say)
    servers = stack.enter_context(embedded.running(place.home, say=say))
    stack.callback(processes.stop)  # before the servers that they use

    if not (place.model / "config.json").exists():
        _step(processes, table["prepare"], show=True)
    if place.own_engine:  # the slowest to start, and it needs no database
        processes.start(table["engine"])
    _step(processes, table["migrate"])
    if options.demo:
        _step(processes, table["seed"], show=True)
    names = database_users(place)
    say(f"Starting {', '.join(names)}")
    for name in names:
        processes.start(table[name])
    for name in ("web", "engine") if place.own_engine else ("web",):
        processes.wait_until_ready(table[name])
    _announce(place, options, time.monotonic() - began)
    try:
        while True:
            processes.check()
            for server in servers:
                if server.process is not None and server.process.poll() is not None:
                    raise ended_by_itself(server.name, server.process.returncode, server.log)
            time.sleep(POLL_SECONDS)
    except Interrupted:
        say("Stopping; once more Ctrl-C stops at once.")
        raise


def say(sentence: str) -> None:
    print(sentence, flush=True)


def _step(processes: Processes, command: Command, *, show: bool = False) -> None:
    began = time.monotonic()
    say(f"{command.title} …")
    processes.step(command, show=show)
    say(f"  done in {time.monotonic() - began:.1f} s")


def _environment(place: Place) -> dict[str, str]:
    """What the children need to find one another."""
    return {
        "HOUSESTYLE_HOME": str(place.home),
        "HOUSESTYLE_MODEL_DIR": str(place.model),
        "HOUSESTYLE_URL": os.environ.get("HOUSESTYLE_URL") or place.web_url,
        "HOUSESTYLE_ENGINE_URL": place.engine_url,
        "HOUSESTYLE_ENGINE_TOKEN": os.environ.get("HOUSESTYLE_ENGINE_TOKEN")
        or secrets.load(place.home).engine_token,
        "PYTHONUNBUFFERED": "1",
        # Training and the engine share the cores. A thread that spins while it waits for the others of its
        # process takes them from the other process: two at once then run many times slower than in turn.
        "GOMP_SPINCOUNT": os.environ.get("GOMP_SPINCOUNT", "10000"),
    }


def _announce(place: Place, options: Options, seconds: float) -> None:
    say(f"\nHousestyle is ready at {os.environ['HOUSESTYLE_URL']} after {seconds:.1f} s. Ctrl-C stops it.")
    say(f"Logs: {place.home / 'logs'}")
    if options.demo:
        _show_accounts(place.home / "demo.json")


def _show_accounts(path: Path) -> None:
    say(f"Demo accounts, also in {path}:")
    for firm in json.loads(path.read_text())["firms"]:
        say(f"\n  {firm['name']}")
        for role in ("staff", "approver", "admin"):
            say(f"    {role:<9} {firm[role]['email']:<34} {firm[role]['password']}")
        say(f"    {'API key':<9} {firm['api_key']}")
