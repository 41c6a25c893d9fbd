"""Children that never outlive the process that started them."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class ServerError(Exception):
    """A server or a process did not start. The message is one sentence for a person."""


def spawn(
    command: Sequence[str],
    *,
    log: Path,
    cwd: Path,
    environment: dict[str, str],
    death_signal: signal.Signals = signal.SIGKILL,
    user: int | None = None,
    group: int | None = None,
) -> subprocess.Popen[bytes]:
    """Start `command` in a session of its own, its output appended to `log`.

    A session, because Ctrl-C in a terminal goes to a whole process group, and only the parent may decide in
    which order things end. On Linux the kernel sends the child `death_signal` when the parent dies, however
    that happens; so call this from a thread that lives as long as the process: the signal follows the thread.
    """
    parent = os.getpid()

    def bind_to_parent() -> None:
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, int(death_signal))
            if os.getppid() != parent:  # it died before the line above
                os._exit(1)

    log.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=environment,
            user=user,
            group=group,
            extra_groups=None if user is None else [],
            start_new_session=True,
            preexec_fn=bind_to_parent,
        )
    finally:
        os.close(descriptor)


def end(process: subprocess.Popen[bytes], signals: Sequence[tuple[signal.Signals, float]]) -> None:
    """Send each signal in turn and wait its seconds, until the process has ended; then SIGKILL."""
    for number, seconds in signals:
        process.send_signal(number)
        try:
            process.wait(seconds)
            return
        except subprocess.TimeoutExpired:
            continue
    process.kill()
    process.wait()


def wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Ask `ready` ten times a second. False once the process has ended or the seconds are over."""
    for _ in range(int(seconds * 10)):
        if ready():
            return True
        try:
            process.wait(0.1)
            return False
        except subprocess.TimeoutExpired:
            continue
    return False
