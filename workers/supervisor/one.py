"""`python -m workers.supervisor.one web`: become one process of the product, as a container does.

The same commands as the supervisor's. Everything else comes from the environment; README.md has the table.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from workers.supervisor import devices
from workers.supervisor.commands import (
    ENGINE_PORT,
    LOOPBACK,
    ROOT,
    WEB_PORT,
    Command,
    Place,
    commands,
    default_home,
    default_model,
)
from workers.supervisor.devices import ANY, Device
from workers.supervisor.errors import StartError

TRAINING = "training"


def command_of(words: list[str]) -> Command:
    """The command that `words` stand for.

    Raises SystemExit on words that mean nothing, StartError on settings that mean nothing.
    """
    home = default_home()
    names = sorted(commands(Place(home=home, model=default_model(home))))
    parser = argparse.ArgumentParser(prog="python -m workers.supervisor.one", description=__doc__)
    parser.add_argument("name", choices=names)
    parser.add_argument("--host", default=LOOPBACK, help="address to listen on")
    parser.add_argument("--port", type=int, default=WEB_PORT, help="of web")
    parser.add_argument("--engine-port", type=int, default=ENGINE_PORT, help="of engine")
    parser.add_argument("--model", type=Path, default=default_model(home), help="folder of the base model")
    parser.add_argument("--device", help="of training: a GPU's number, several as in 0+1, or cpu")
    options = parser.parse_args(words)
    if options.device is not None and options.name != TRAINING:
        parser.error("--device is for training alone")
    named = devices.parse(os.environ.get("HOUSESTYLE_TRAINING_DEVICES", ""))
    chosen = _chosen(options.device, named) if options.name == TRAINING else ANY
    place = Place(
        home=home,
        model=options.model,
        host=options.host,
        port=options.port,
        engine_port=options.engine_port,
        # The others, where the environment names them, count when the cores are shared out.
        training=named if chosen in named else (chosen,),
    )
    return commands(place)[chosen.name if options.name == TRAINING else options.name]


def _chosen(word: str | None, named: Sequence[Device]) -> Device:
    """The device of this one worker. Raises StartError when it is unclear or several."""
    if word is None and len(named) > 1:
        raise StartError(
            f"{devices.DEVICES} names {len(named)} devices, and this is one worker: say which it takes, "
            f"as in --device {named[0].words}."
        )
    found = named if word is None else devices.parse(word)
    if len(found) > 1:
        raise StartError(f"--device {word} is {len(found)} workers: start one process for each.")
    return found[0]


def main() -> None:
    try:
        command = command_of(sys.argv[1:])
    except StartError as error:
        sys.exit(str(error))
    os.chdir(ROOT)
    environment = {**os.environ, **command.environment}
    os.execve(command.arguments[0], command.arguments, environment)  # noqa: S606  # no shell is wanted


if __name__ == "__main__":
    main()
