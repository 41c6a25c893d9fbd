"""The training child: `python -m workers.engine.child`, requests and events as JSON lines.

In:   {"op": "train", "run", "base", "dataset", "spec", "output"}
      {"op": "cancel", "run"}                                       within one optimiser step
      end of input                                                  the child exits
Out:  loading, started, heldout, step, and one of done, failed, errored, cancelled; each names its run

The base model stays loaded from run to run.
"""

from __future__ import annotations

import ctypes
import dataclasses
import json
import os
import queue
import resource
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any, TextIO

from webapp.training.spec import SpecError, TrainingSpec
from workers.engine.base_model import BaseModel
from workers.engine.errors import EngineError
from workers.engine.examples import encode, read_lines
from workers.engine.export import export
from workers.engine.trainer import HeldOut, Started, Step, train

OUT_OF_MEMORY = (
    "Training ran out of memory: choose a shorter maximum length or a smaller batch, then start it again."
)
EVENT_NAMES = {Started: "started", HeldOut: "heldout", Step: "step"}


class Cancelled(Exception):
    """Somebody asked for the run to end."""


@dataclasses.dataclass(frozen=True)
class Request:
    run: str
    base: Path
    dataset: Path
    spec: dict[str, Any]
    output: Path
    cancelled: threading.Event = dataclasses.field(default_factory=threading.Event)

    @classmethod
    def parse(cls, message: dict[str, Any]) -> Request:
        return cls(
            run=message["run"],
            base=Path(message["base"]),
            dataset=Path(message["dataset"]),
            spec=message["spec"],
            output=Path(message["output"]),
        )

    def check(self) -> None:
        """Raises Cancelled."""
        if self.cancelled.is_set():
            raise Cancelled


class Inbox:
    """Requests as they come in, read by a thread so that a cancel is heard while a run computes."""

    def __init__(self, lines: TextIO) -> None:
        self._lines = lines
        self._waiting: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._open: dict[str, Request] = {}
        threading.Thread(target=self._read, daemon=True).start()

    def next(self) -> Request | None:
        """The next run to train; None when no more will come."""
        return self._waiting.get()

    def close(self, request: Request) -> None:
        """The run has ended: a late cancel means nothing to one of the same name that comes later."""
        if self._open.get(request.run) is request:
            del self._open[request.run]

    def _read(self) -> None:
        for line in self._lines:
            try:
                self._take(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                print(f"not a request: {type(error).__name__}", file=sys.stderr)
        for request in list(self._open.values()):  # nobody listens any more
            request.cancelled.set()
        self._waiting.put(None)

    def _take(self, message: dict[str, Any]) -> None:
        match message["op"]:
            case "train":
                request = Request.parse(message)
                self._open[request.run] = request
                self._waiting.put(request)
            case "cancel":
                request_to_end = self._open.get(message["run"])
                if request_to_end is not None:
                    request_to_end.cancelled.set()
            case _:
                raise ValueError(message["op"])


class Child:
    """Trains one run after the other with one base model, which it keeps."""

    def __init__(self, inbox: Inbox, events: TextIO) -> None:
        self._inbox, self._events = inbox, events
        self._base: BaseModel | None = None

    def serve(self) -> None:
        """Until the input ends."""
        while (request := self._inbox.next()) is not None:
            try:
                end = self._train(request)
            except Cancelled:
                end = {"event": "cancelled"}
            except (EngineError, SpecError) as problem:
                end = {"event": "failed", "message": str(problem)}
            except Exception as error:
                if _is_out_of_memory(error):
                    end = {"event": "failed", "message": OUT_OF_MEMORY}
                else:
                    end = {"event": "errored", "trace": _frames(error)}
            self._inbox.close(request)
            self._tell(request, **end)

    def _train(self, request: Request) -> dict[str, Any]:
        """One run, from its request to the event that ends it well."""
        start = time.monotonic()
        _forget_peak()
        spec = TrainingSpec.parse(request.spec)
        request.check()
        base, loaded_now = self._load(request)
        dataset = encode(base, read_lines(request.dataset), spec.max_length)

        def report(event: Started | HeldOut | Step) -> None:
            more = {"base_loaded_now": loaded_now} if isinstance(event, Started) else {}
            self._tell(request, event=EVENT_NAMES[type(event)], **dataclasses.asdict(event), **more)

        adapter = train(base, dataset, spec, report, request.check)
        written = export(adapter, request.output)
        seconds = time.monotonic() - start
        return {
            "event": "done",
            "sha256": written.sha256,
            "bytes": written.bytes,
            "seconds": seconds,
            "peak_bytes": _peak_bytes(),
        }

    def _load(self, request: Request) -> tuple[BaseModel, bool]:
        """The base of this run, and whether it had to be read."""
        if self._base is not None and self._base.is_of(request.base):
            return self._base, False
        self._base = None  # before the next is read: two would not fit
        self._tell(request, event="loading")
        self._base = BaseModel.load(request.base)
        return self._base, True

    def _tell(self, request: Request, **event: Any) -> None:
        try:
            self._events.write(json.dumps({"run": request.run, **event}) + "\n")
            self._events.flush()
        except BrokenPipeError:
            os._exit(1)  # the worker is gone; what it had asked for is nobody's


def _frames(error: BaseException) -> str:
    """Where an error came from: frames and its type, no text, which may be a document's."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [
        f"{'/'.join(Path(frame.filename).parts[-3:])}:{frame.lineno} in {frame.name}" for frame in frames
    ]
    return "\n".join([*lines, type(error).__name__])


def _is_out_of_memory(error: Exception) -> bool:
    """PyTorch's allocator on the CPU has no exception of its own."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )


def _forget_peak() -> None:
    """Let the process's peak memory count from here on, so that a run's peak is its own (Linux)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass


def _peak_bytes() -> int:
    """The most memory that was resident since `_forget_peak`, as far as the system tells."""
    try:
        status = Path("/proc/self/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _die_with_parent() -> None:
    """Ask Linux to end this process when the one that started it ends, however it ends."""
    if sys.platform == "linux":
        set_parent_death_signal = 1  # PR_SET_PDEATHSIG
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)


def _reserve_stdout() -> TextIO:
    """Standard output for events alone: whatever else is printed from now on goes to standard error."""
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return events


def main() -> None:
    _die_with_parent()
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C is the supervisor's to hear: the input's end ends us
    events = _reserve_stdout()
    Child(Inbox(sys.stdin), events).serve()


if __name__ == "__main__":
    main()
