"""Limits that a process takes on before it touches a file from outside. There is no way back up."""

from __future__ import annotations

import ctypes
import resource
import signal
import sys

from workers.extraction.result import Limits


def confine(limits: Limits, *, written_bytes: int = 0, files: int = 64) -> None:
    """Bind this process, and what it starts, to `limits`; it may write files of `written_bytes` each."""
    for kind, limit in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_CPU, limits.cpu_seconds),
        (resource.RLIMIT_FSIZE, written_bytes),
        (resource.RLIMIT_CORE, 0),  # a core file would hold a firm's text
        (resource.RLIMIT_NOFILE, files),
    ):
        _, ceiling = resource.getrlimit(kind)
        if ceiling != resource.RLIM_INFINITY:
            limit = min(limit, ceiling)
        resource.setrlimit(kind, (limit, limit))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: end with the worker
