"""`python -m webapp.core.embedded <command>`: run a command with servers and a HOUSESTYLE_HOME of its own.

They are thrown away after it. Servers named in the environment are used instead.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from webapp.core.embedded import ServerError, running


def main(command: list[str]) -> int:
    """Returns the command's own exit status, or 1 if no server could be started."""
    with tempfile.TemporaryDirectory(prefix="housestyle-") as folder:
        os.environ["HOUSESTYLE_HOME"] = folder
        try:
            with running(Path(folder), durable=False):
                return subprocess.call(command)
        except ServerError as error:
            print(error, file=sys.stderr)
            return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
