"""The children: how they are started, watched and ended."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psutil

from webapp.core.embedded.child import spawn
from workers.supervisor.commands import ROOT, Command
from workers.supervisor.errors import StartError
from workers.supervisor.signals import StopRequests

GRACE_SECONDS = 8.0  # for requests to be answered and short jobs to end; a cut training run goes on later
READY_SECONDS = 120.0
POLL_SECONDS = 0.05
HEALTH_SECONDS = 0.2
# Starting again helps where an accident ended a process; elsewhere it would hide why.
MOST_AGAIN, AGAIN_SECONDS = 3, 60.0
KEPT_LOG_BYTES = 5 * 1024 * 1024
_PR_SET_CHILD_SUBREAPER = 36


class Processes:
    """The processes of one start, their output in `logs`/<name>.log, shown too when `verbose`."""

    def __init__(
        self, logs: Path, stop: StopRequests, *, verbose: bool, say: Callable[[str], None] = print
    ) -> None:
        self.logs = logs
        self.stop_requests = stop
        self.verbose = verbose
        self.say = say
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        # Those that were up and may be started again, with when that was done.
        self._started_again: dict[str, list[float]] = {}
        self._commands: dict[str, Command] = {}
        _adopt_orphans()

    def step(self, command: Command, *, show: bool) -> None:
        """Run a command to its end. Raises StartError if it fails, Interrupted on Ctrl-C."""
        process = self._spawn(command, show=show)
        while process.poll() is None:
            self.stop_requests.check()
            time.sleep(POLL_SECONDS)
        del self._running[command.name]
        if process.returncode != 0:
            raise StartError(f"“{command.title}” failed: the end of {self._log(command.name)} says why.")

    def start(self, command: Command) -> None:
        self._spawn(command, show=False)

    def wait_until_ready(self, command: Command) -> None:
        """Until the command's health address answers. Raises StartError, Interrupted."""
        deadline = time.monotonic() + READY_SECONDS
        while not _healthy(command.health):
            self.check()
            if time.monotonic() > deadline:
                raise StartError(
                    f"The {command.title} did not answer within {READY_SECONDS:.0f} seconds: "
                    f"the end of {self._log(command.name)} may say why."
                )
            time.sleep(HEALTH_SECONDS)
        if command.again:
            self._started_again[command.name] = []

    def check(self) -> None:
        """Start again what may be. Raises Interrupted when asked to stop, StartError when another process has
        ended by itself, or one that is started again and again."""
        self.stop_requests.check()
        for name, process in list(self._running.items()):
            if process.poll() is not None and not self._start_again(name, process):
                raise ended_by_itself(name, process.returncode, self._log(name))

    def stop(self) -> None:
        """End every process and its group: first asked, then, after the grace or a second Ctrl-C, killed."""
        alive = [process for process in self._running.values() if process.poll() is None]
        for process in alive:
            _signal_group(process, signal.SIGTERM)
        deadline = time.monotonic() + GRACE_SECONDS
        while any(process.poll() is None for process in alive):
            if time.monotonic() > deadline or self.stop_requests.urgent:
                break
            time.sleep(POLL_SECONDS)
        for process in self._running.values():
            _signal_group(process, signal.SIGKILL)  # also the members of a group whose leader has ended
            process.wait()
        self._running.clear()

    def _start_again(self, name: str, ended: subprocess.Popen[bytes]) -> bool:
        """Whether it was; not before it was up for the first time, nor more than a few times in a while."""
        if name not in self._started_again:
            return False
        since = time.monotonic() - AGAIN_SECONDS
        recent = [when for when in self._started_again[name] if when > since]
        if len(recent) >= MOST_AGAIN:
            return False
        self._started_again[name] = [*recent, time.monotonic()]
        _signal_group(ended, signal.SIGKILL)  # what it left behind
        self.say(f"The {name} process {_how(ended.returncode)} and is started again.")
        self._spawn(self._commands[name], show=False)
        return True

    def _spawn(self, command: Command, *, show: bool) -> subprocess.Popen[bytes]:
        log = self._log(command.name)
        if log.exists() and log.stat().st_size > KEPT_LOG_BYTES:
            log.replace(log.with_suffix(".log.old"))
        begin = log.stat().st_size if log.exists() else 0
        environment = {**os.environ, **command.environment}
        process = spawn(command.arguments, log=log, cwd=ROOT, environment=environment)
        self._running[command.name], self._commands[command.name] = process, command
        if show or self.verbose:
            prefix = f"{command.name:>9} | " if self.verbose else "  "
            follower = threading.Thread(target=_follow, args=(log, begin, process, prefix), daemon=True)
            follower.start()
        return process

    def _log(self, name: str) -> Path:
        return self.logs / f"{name}.log"


def ended_by_itself(name: str, status: int, log: Path) -> StartError:
    return StartError(
        f"The {name} process {_how(status)}, so everything was stopped: the end of {log} says why."
    )


def _how(status: int) -> str:
    return f"ended by itself ({f'exit status {status}' if status >= 0 else f'signal {-status}'})"


def kill_descendants() -> None:
    """Kill what our children left behind: orphans come to us, because we adopt them."""
    for _ in range(3):  # a process may start another while we look
        left = psutil.Process().children(recursive=True)
        if not left:
            return
        for process in left:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                pass
        psutil.wait_procs(left, timeout=2)


def _adopt_orphans() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)  # the child leads a session, so its id is the group's
    except (ProcessLookupError, PermissionError):
        pass


def _healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310  # our own loopback address
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _follow(log: Path, begin: int, process: subprocess.Popen[bytes], prefix: str) -> None:
    """Print the lines that a process adds to its log, until it has ended."""
    with log.open(encoding="utf-8", errors="replace") as file:
        file.seek(begin)
        rest = ""
        while True:
            ended = process.poll() is not None
            rest += file.read()
            *lines, rest = rest.split("\n")
            for line in lines:
                print(f"{prefix}{line}", flush=True)
            if ended:
                return
            time.sleep(0.1)
