"""`python -m workers.supervisor.one web`: become one process of the product, as a container does.

The same commands as the supervisor's. Everything else comes from the environment; README.md has the table.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from workers.supervisor.commands import (
    ENGINE_PORT,
    LOOPBACK,
    ROOT,
    WEB_PORT,
    Place,
    commands,
    default_home,
    default_model,
)


def arguments_of(words: list[str]) -> tuple[str, ...]:
    """The command line that `words` stand for. Raises SystemExit on words that mean nothing."""
    home = default_home()
    names = sorted(commands(Place(home=home, model=default_model(home))))
    parser = argparse.ArgumentParser(prog="python -m workers.supervisor.one", description=__doc__)
    parser.add_argument("name", choices=names)
    parser.add_argument("--host", default=LOOPBACK, help="address to listen on")
    parser.add_argument("--port", type=int, default=WEB_PORT, help="of web")
    parser.add_argument("--engine-port", type=int, default=ENGINE_PORT, help="of engine")
    parser.add_argument("--model", type=Path, default=default_model(home), help="folder of the base model")
    options = parser.parse_args(words)
    place = Place(
        home=home,
        model=options.model,
        host=options.host,
        port=options.port,
        engine_port=options.engine_port,
    )
    return commands(place)[options.name].arguments


if __name__ == "__main__":
    found = arguments_of(sys.argv[1:])
    os.chdir(ROOT)
    os.execv(found[0], found)  # noqa: S606  # no shell is wanted
