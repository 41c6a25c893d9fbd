"""What the engine refuses."""

from __future__ import annotations

import errno

# What a full disk is called, what is said of it, and when a run that had to wait for room tries again.
FULL = (errno.ENOSPC, errno.EDQUOT)
DISK_FULL = "The disk is full: the run goes on by itself once there is room."
DISK_FULL_SECONDS = 30


class EngineError(Exception):
    """An expected problem. Its text is one sentence for a person: what is wrong and what to do."""
