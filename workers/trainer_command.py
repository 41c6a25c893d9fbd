"""How a training worker starts its child: plainly, or once for each GPU through accelerate."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

CHILD, ONE_OF_SEVERAL = "workers.engine.child", "workers.engine.rank"
# The tests start two processes with it on a CPU. On GPUs it has not been run: no machine here has one.
SEVERAL_GPUS = Path(__file__).with_name("accelerate.yaml")


def child_command(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The child's command line in a worker's environment, which workers/supervisor/devices.py makes.

    A device of several GPUs, as in “0+1”, is one process a GPU: accelerate starts them, they share the
    worker's pipes, and only the first of them reads and speaks. They end when the launcher is killed, since
    each asks the system to.
    """
    gpus = environment.get("HOUSESTYLE_TRAINING_DEVICE", "").split("+")
    if len(gpus) == 1:
        return (sys.executable, "-m", CHILD)
    config = environment.get("HOUSESTYLE_ACCELERATE_CONFIG") or str(SEVERAL_GPUS)
    return (
        *(sys.executable, "-m", "accelerate.commands.launch", "--config_file", config),
        *("--num_processes", str(len(gpus))),
        *("--main_process_port", "0"),  # a free one: two such workers would want the same
        *("--module", ONE_OF_SEVERAL),
    )
