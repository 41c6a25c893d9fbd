"""The training child: `python -m workers.engine.child`, requests and events as JSON lines.

In:   {"op": "train", "run", "base", "dataset", "spec", "output", "work", "key", "prompts",
       "checkpoint_seconds"}
      {"op": "cancel", "run", "keep"}                               within one optimiser step
      {"op": "beat", "run"}                                         the worker still holds the run
      end of input                                                  the child exits
Out:  loading, preparing, started, heldout, answers, step, checkpoint, notice, and one of done, failed,
      errored, postponed, cancelled; each names its run

Several processes of one run (see ranks.py) all run this: the first alone hears, speaks and writes.

The base model stays loaded from run to run. `work` is a folder that outlives this process: a run whose
process died goes on from what lies there. `key` (32 bytes in base64) seals what tells a document's text.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, TextIO

from webapp.training.spec import SpecError, TrainingSpec
from workers.engine.errors import DISK_FULL, DISK_FULL_SECONDS, FULL, EngineError
from workers.engine.events import EVENT_NAMES, Event, Step
from workers.engine.examples import encode, encode_prompt, read_lines
from workers.engine.export import Exported, export
from workers.engine.learner import Base
from workers.engine.lifeline import die_with_parent
from workers.engine.load import load_base
from workers.engine.memory import forget_peak, peak_bytes
from workers.engine.ranks import Ranks
from workers.engine.sealed import Sealer
from workers.engine.trainer import ANSWER_TOKENS, Trainer, Work

OUT_OF_MEMORY = (
    "Training ran out of memory: choose a shorter maximum length or fewer tokens at once, then start again."
)
# A worker renews its lease every second and loses it after 30: who hears nothing stops before that.
SILENCE_SECONDS = 25.0


class Cancelled(Exception):
    """Somebody asked for the run to end."""


class Abandoned(Exception):
    """The worker that asked for the run no longer says that it holds it."""


@dataclasses.dataclass
class Request:
    run: str
    base: Path
    dataset: Path
    spec: dict[str, Any]
    output: Path
    work: Work
    prompts: list[dict[str, Any]]
    message: Mapping[str, Any]  # what it was parsed from
    cancelled: threading.Event = dataclasses.field(default_factory=threading.Event)
    keep_best: bool = False
    heard: float | None = None  # when the worker last said that it holds the run; None: it never does
    ranks: Ranks = dataclasses.field(default_factory=Ranks)
    agreed: bool = False  # what all of several processes know of `cancelled`

    @classmethod
    def parse(cls, message: Mapping[str, Any]) -> Request:
        sealer = Sealer(base64.b64decode(message["key"]))
        return cls(
            run=message["run"],
            base=Path(message["base"]),
            dataset=Path(message["dataset"]),
            spec=message["spec"],
            output=Path(message["output"]),
            work=Work(Path(message["work"]), sealer, message.get("checkpoint_seconds", 30)),
            prompts=message.get("prompts", []),
            message=message,
        )

    def agree(self) -> None:
        """Let all processes know at the same step that somebody asked for the end: they end together."""
        if self.ranks.several:
            self.agreed, self.keep_best = self.ranks.agree((self.cancelled.is_set(), self.keep_best))

    def check(self) -> None:
        """Raises Cancelled, Abandoned."""
        if self.agreed if self.ranks.several else self.cancelled.is_set():
            raise Cancelled
        if self.heard is not None and time.monotonic() - self.heard > SILENCE_SECONDS:
            raise Abandoned


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
                if (asked := self._open.get(message["run"])) is not None:
                    asked.keep_best = bool(message.get("keep", False))
                    asked.cancelled.set()
            case "beat":
                if (held := self._open.get(message["run"])) is not None:
                    held.heard = time.monotonic()
            case _:
                raise ValueError(message["op"])


class Child:
    """Trains one run after the other with one base model, which it keeps."""

    def __init__(self, inbox: Inbox | None, events: TextIO, ranks: Ranks) -> None:
        """`inbox` is the first process's; the others hear from it."""
        self._inbox, self._events, self._ranks = inbox, events, ranks
        self._base: Base | None = None
        self._loaded: tuple[Path, str, str] | None = None

    def serve(self) -> None:
        """Until the input ends."""
        while (request := self._next()) is not None:
            end = self._end_of(request)
            if self._inbox is not None:
                self._inbox.close(request)
            self._tell(request, **end)

    def _next(self) -> Request | None:
        """What the first process hears is what all of them train."""
        request = None if self._inbox is None else self._inbox.next()
        message = self._ranks.agree(None if request is None else request.message)
        if request is None and message is not None:
            request = Request.parse(message)
        if request is not None:
            request.ranks = self._ranks
        return request

    def _end_of(self, request: Request) -> dict[str, Any]:
        """One run, from its request to the event that ends it."""
        try:
            return self._train(request)
        except Cancelled:
            return {"event": "cancelled"}
        except Abandoned:
            print(f"run {request.run}: its worker fell silent, so nothing more is written", file=sys.stderr)
            os._exit(1)
        except (EngineError, SpecError) as problem:
            return {"event": "failed", "message": str(problem)}
        except Exception as error:
            if self._ranks.several:
                self._fall(error)
            if isinstance(error, OSError) and error.errno in FULL:
                return {"event": "postponed", "message": DISK_FULL, "seconds": DISK_FULL_SECONDS}
            if _is_out_of_memory(error):
                return {"event": "failed", "message": OUT_OF_MEMORY}
            return {"event": "errored", "trace": _frames(error)}

    def _fall(self, error: Exception) -> NoReturn:
        """The others of several processes wait for this one, which can't go on: the launcher ends them all,
        and the worker begins anew."""
        print(f"process {self._ranks.rank} of {self._ranks.count} fell:\n{_frames(error)}", file=sys.stderr)
        os._exit(1)

    def _train(self, request: Request) -> dict[str, Any]:
        start = time.monotonic()
        forget_peak()
        spec = TrainingSpec.parse(request.spec)
        request.check()
        base = self._load(request, spec)
        dataset = encode(base, read_lines(request.dataset), spec.max_length)
        prompts = [
            encode_prompt(base, prompt["prompt"], prompt.get("context", ()), room=ANSWER_TOKENS)
            for prompt in request.prompts
        ]

        def report(event: Event) -> None:
            self._tell(request, event=EVENT_NAMES[type(event)], **dataclasses.asdict(event))
            if isinstance(event, Step):
                request.agree()

        work = dataclasses.replace(request.work, writes=self._ranks.first)
        trainer = Trainer(base, dataset, spec, work=work, report=report, check=request.check, prompts=prompts)
        try:
            trainer.run()
        except Cancelled:
            if not request.keep_best or trainer.best_step is None:
                raise
            trainer.restore_best()
            kept = self._export(trainer, base, spec, request)
            return {"event": "cancelled", **dataclasses.asdict(kept), "best_step": trainer.best_step}
        request.check()
        written = self._export(trainer, base, spec, request)
        return {
            "event": "done",
            **dataclasses.asdict(written),
            "seconds": time.monotonic() - start,
            "peak_bytes": peak_bytes(),
            "best_step": trainer.best_step,
            "stopped_early": trainer.stopped_early,
        }

    def _load(self, request: Request, spec: TrainingSpec) -> Base:
        """The base of this run, read unless it is the one that is loaded, in the way that the run wants."""
        wanted = (request.base, spec.precision, spec.mode)
        if self._base is not None and self._loaded == wanted and self._base.is_of(request.base):
            return self._base
        self._base = None  # before the next is read: two would not fit
        self._tell(request, event="loading")
        self._base = load_base(request.base, spec.precision, spec.mode, self._ranks)
        self._loaded = wanted
        return self._base

    def _export(self, trainer: Trainer, base: Base, spec: TrainingSpec, request: Request) -> Exported:
        if not self._ranks.first:
            return Exported("", 0)
        return export(trainer.learner, base, spec, request.output)

    def _tell(self, request: Request, **event: Any) -> None:
        if not self._ranks.first:
            return
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


def _reserve_stdout() -> TextIO:
    """Standard output for events alone: whatever else is printed from now on goes to standard error."""
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return events


def main() -> None:
    die_with_parent()
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C is the supervisor's to hear: the input's end ends us
    events = _reserve_stdout()
    ranks = Ranks.join()
    Child(Inbox(sys.stdin) if ranks.first else None, events, ranks).serve()


if __name__ == "__main__":
    main()
