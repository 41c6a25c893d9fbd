"""`python -m workers.supervisor`: the whole product on one machine, until Ctrl-C."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from workers.supervisor import devices, engines
from workers.supervisor.commands import ENGINE_PORT, WEB_PORT, Place, default_home, default_model
from workers.supervisor.errors import StartError


def main(words: list[str] | None = None) -> int:
    home = default_home()
    parser = argparse.ArgumentParser(prog="python -m workers.supervisor", description=__doc__)
    parser.add_argument("--port", type=int, default=WEB_PORT, help="of the pages and the API")
    parser.add_argument("--engine-port", type=int, default=ENGINE_PORT, help="of the inference engine")
    parser.add_argument("--no-demo", action="store_true", help="do not make the demo firms")
    parser.add_argument("--model", type=Path, help="folder of a prepared base model")
    parser.add_argument("-v", "--verbose", action="store_true", help="show what every process says")
    options = parser.parse_args(words)
    try:
        training = devices.parse(os.environ.get("HOUSESTYLE_TRAINING_DEVICES", ""))
        own = engines.own(os.environ, options.engine_port)
    except StartError as error:
        print(error, file=sys.stderr)
        return 1
    place = Place(
        home=home,
        model=(options.model or default_model(home)).resolve(),
        port=options.port,
        engine_port=options.engine_port,
        own_engine=own.started,
        engine_token=own.token,
        training=training,
    )
    try:
        from workers.supervisor.run import Options, run  # needs packages that may be missing
    except ImportError as error:
        print(f"The package {error.name} is not installed: run `make setup` first.", file=sys.stderr)
        return 1
    return run(
        Options(
            place=place,
            model_named=options.model is not None,
            demo=not options.no_demo,
            verbose=options.verbose,
        )
    )


if __name__ == "__main__":
    sys.exit(main())
