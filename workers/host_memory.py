"""How much memory there is for this process."""

from __future__ import annotations

import os
from pathlib import Path


def host_memory() -> int:
    """Bytes that this process may have: the machine's, or what its container is limited to."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = [whole]
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            limits.append(int(Path(path).read_text()))
        except (OSError, ValueError):  # no such file, or “max”
            continue
    return min(limits)
