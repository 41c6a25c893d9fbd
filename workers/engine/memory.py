"""How much memory this process has, on its host and on an accelerator."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import torch


def forget_peak() -> None:
    """Let the process's peak memory count from here on, so that a run's peak is its own (Linux)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def peak_bytes() -> int:
    """The most memory that was resident since `forget_peak`, as far as the system tells."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated()
    found = _status("VmHWM")
    unit = 1 if sys.platform == "darwin" else 1024
    return found if found is not None else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def used_bytes() -> int:
    """The memory that is resident now; 0 where the system does not tell."""
    if torch.cuda.is_available() and torch.cuda.memory_allocated():
        return torch.cuda.memory_allocated()
    return _status("VmRSS") or 0


def _status(field: str) -> int | None:
    """A field of /proc/self/status in bytes (Linux)."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:")), None)
