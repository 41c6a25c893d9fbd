"""The training child of a worker: `python -m workers.engine.child`, spoken to in JSON lines.

A process of its own, so that running out of memory costs the child and not the worker, and a GPU never meets
a fork. It is kept from run to run with the base model loaded, and replaced when it has died.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Generator
from typing import Any

from workers.trainer_command import child_command

Event = dict[str, Any]
ENDS = ("done", "failed", "errored", "postponed", "cancelled")
POLL_SECONDS = 0.2


class ChildDied(Exception):
    """The child ended in the middle of a run: killed, out of memory, or because nobody said that its worker
    still holds the run."""


class TrainerProcess:
    def __init__(self) -> None:
        self._child: subprocess.Popen[str] | None = None
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()

    def run(self, request: Event) -> Generator[Event | None]:
        """Send a request and yield its events to the last; None now and then, so that the caller can look up.

        A run that the caller gives up (it closes the iterator) is ended with its child. Raises ChildDied.
        """
        self._start()
        self._send(request)
        self.beat(request["run"])
        ended = False
        try:
            while not ended:
                try:
                    event = self._events.get(timeout=POLL_SECONDS)
                except queue.Empty:
                    yield None
                    continue
                if event is None:
                    raise ChildDied
                ended = event["event"] in ENDS
                yield event
        finally:
            if not ended:
                self.stop()

    def cancel(self, run: str, *, keep: bool) -> None:
        """Ask for the run's end within a step; with `keep` its best adapter so far is written."""
        self._send({"op": "cancel", "run": run, "keep": keep})

    def beat(self, run: str) -> None:
        """Tell the child that its worker holds the run: one that hears this no more ends before it writes."""
        self._send({"op": "beat", "run": run})

    def stop(self) -> None:
        """End the child; the next run starts a new one."""
        if self._child is not None:
            try:
                os.killpg(self._child.pid, signal.SIGKILL)  # it leads a session: what it started ends with it
            except ProcessLookupError:
                pass
            self._child.wait()
            self._child = None

    def _start(self) -> None:
        if self._child is not None and self._child.poll() is None:
            return
        self._child = subprocess.Popen(
            child_command(os.environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._events = queue.SimpleQueue()
        threading.Thread(target=_read, args=(self._child, self._events), daemon=True).start()

    def _send(self, message: Event) -> None:
        assert self._child is not None and self._child.stdin is not None
        try:
            self._child.stdin.write(json.dumps(message) + "\n")
            self._child.stdin.flush()
        except BrokenPipeError:
            pass  # it has died: the reader says so


def _read(child: subprocess.Popen[str], events: queue.SimpleQueue[Event | None]) -> None:
    """Pass on the child's lines; None when there are no more."""
    assert child.stdout is not None
    for line in child.stdout:
        events.put(json.loads(line))
    events.put(None)
