"""The training child of a worker: `python -m workers.engine.child`, spoken to in JSON lines.

A process of its own, so that running out of memory costs the child and not the worker, and a GPU never meets
a fork. It is kept from run to run with the base model loaded, and replaced when it has died.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

from workers.tasks.run_job import JobFailed
from workers.trainer_command import child_command

Event = dict[str, Any]
ENDS = ("done", "failed", "errored", "cancelled")
POLL_SECONDS = 0.2
DIED = (
    "Training stopped because its process died, most likely for want of memory. "
    "Choose a shorter maximum length or a smaller batch, then start it again."
)


class TrainerProcess:
    def __init__(self) -> None:
        self._child: subprocess.Popen[str] | None = None
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()

    def run(self, request: dict[str, Any]) -> Iterator[Event | None]:
        """Send a request and yield its events to the last; None now and then, so that the caller can look up.

        Raises JobFailed when the child dies.
        """
        self._start()
        self._send(request)
        while True:
            try:
                event = self._events.get(timeout=POLL_SECONDS)
            except queue.Empty:
                yield None
                continue
            if event is None:
                self.stop()
                raise JobFailed(DIED)
            if event["run"] != request["run"]:
                continue  # the tail of a run that was given up
            yield event
            if event["event"] in ENDS:
                return

    def cancel(self, run: str) -> None:
        self._send({"op": "cancel", "run": run})

    def stop(self) -> None:
        """End the child; the next run starts a new one."""
        if self._child is not None:
            self._child.kill()
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

    def _send(self, message: dict[str, Any]) -> None:
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
