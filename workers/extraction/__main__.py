"""The reading child: `python -m workers.extraction PATH NAME [LIMITS as JSON]`, one JSON object on stdout."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
from pathlib import Path

from workers.extraction import ExtractionRefused, Limits, extract


def main(arguments: list[str]) -> int:
    """Read one file under its limits; what a parser prints goes nowhere, what it raises says nothing."""
    path, name, *given = arguments
    limits = Limits(**json.loads(given[0])) if given else Limits()
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    _confine(limits)
    try:
        result = extract(Path(path), name, limits).as_json()
    except ExtractionRefused as refused:
        result = {"code": refused.code, "message": refused.message}
    except MemoryError:
        result = {"code": "memory", "message": ""}
    json.dump(result, answer)
    answer.close()
    return 0


def _confine(limits: Limits) -> None:
    """Bind this process to `limits` before a byte of the file is read. There is no way back up."""
    for kind, limit in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_CPU, limits.cpu_seconds),
        (resource.RLIMIT_FSIZE, 0),  # it writes no file, and
        (resource.RLIMIT_CORE, 0),  # leaves no core file with a firm's text in it
        (resource.RLIMIT_NOFILE, 64),
    ):
        resource.setrlimit(kind, (limit, limit))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: end with the worker


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
