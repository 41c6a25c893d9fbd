"""The engine's thread: admit what waits, then step all running sequences together, token by token."""

from __future__ import annotations

import logging
import threading
import traceback
from collections import deque
from collections.abc import Callable

import torch

from workers.serving.kv_pool import KVPool
from workers.serving.llama import Llama
from workers.serving.sampler import choose
from workers.serving.sequence import Failed, Sequence
from workers.serving.steps import Segment

logger = logging.getLogger(__name__)

_FAILED = (
    "The engine could not work on this request: send it again, and tell your operator if it happens twice."
)
_NO_NUMBERS = "The model's numbers overflowed on this request: the adapter is unusable, so train it again."
_STOPPED = "The engine is stopping: send the request again in a moment."


class Scheduler:
    """Runs sequences on one model in one thread.

    A step reads at most `step_tokens` tokens: first one for each sequence that is already answering, then
    prompts in chunks, so that a long prompt does not hold up the others. Sequences wait in the order they
    came while `max_running` are running or the pool of keys and values has no room.
    """

    def __init__(
        self,
        model: Llama,
        pool: KVPool,
        *,
        max_running: int = 32,
        step_tokens: int = 256,
        on_broken: Callable[[], None] = lambda: None,
    ) -> None:
        self._model = model
        self._pool = pool
        self._max_running = max_running
        self._step_tokens = max(step_tokens, max_running)  # every running sequence has its turn in every step
        self._on_broken = on_broken
        self._waiting: deque[Sequence] = deque()
        self._running: list[Sequence] = []
        self._wake = threading.Condition()
        self._stopping = False
        self._broken = False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End every sequence with a sentence, and the thread."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        self._thread.join()

    @property
    def healthy(self) -> bool:
        return self._thread.is_alive() and not self._broken

    @property
    def load(self) -> int:
        """Requests waiting or running."""
        with self._wake:
            return len(self._waiting) + len(self._running)

    def submit(self, sequence: Sequence) -> None:
        """Queue a sequence. Its `report` and `ended` are called from the engine's thread."""
        with self._wake:
            if not self._stopping:
                self._waiting.append(sequence)
                self._wake.notify_all()
                return
        self._end(sequence, _STOPPED)

    def cancel(self, sequence: Sequence) -> None:
        """Give up a sequence: its place is free at the next step."""
        with self._wake:
            sequence.cancelled = True
            self._wake.notify_all()

    def _run(self) -> None:
        try:
            with torch.inference_mode():
                while self._admit():
                    self._step()
        except BaseException as error:
            _log(error)
            self._broken = True
        finally:
            with self._wake:
                self._stopping = True
                left = [*self._running, *self._waiting]
                self._running.clear()
                self._waiting.clear()
            for sequence in left:
                self._end(sequence, _STOPPED)
            if self._broken:
                self._on_broken()

    def _admit(self) -> bool:
        """Drop what was cancelled, let in what has room, sleep while there is nothing. False to stop."""
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._stopping or self._running or self._waiting)
                if self._stopping:
                    return False
                cancelled = [s for s in (*self._running, *self._waiting) if s.cancelled]
                for sequence in cancelled:
                    (self._running if sequence in self._running else self._waiting).remove(sequence)
            for sequence in cancelled:
                self._end(sequence)
            self._let_in()
            if self._running:
                return True

    def _let_in(self) -> None:
        while True:
            with self._wake:
                if not self._waiting or len(self._running) >= self._max_running:
                    return
                sequence = self._waiting[0]
                try:
                    sequence.cache = self._pool.allocate(sequence.capacity)
                except (
                    RuntimeError,
                    MemoryError,
                ) as error:  # the machine has less memory than the pool counts on
                    self._waiting.popleft()
                    failure: Exception = error
                else:
                    if sequence.cache is None:
                        return
                    self._running.append(self._waiting.popleft())
                    continue
            self._fail(sequence, failure)

    def _step(self) -> None:
        """One forward pass: a token for every sequence that answers, chunks of prompts as far as they fit."""
        stepping, segments = self._plan()
        try:
            logits = self._model.forward(segments)
        except Exception as error:
            if len(stepping) > 1:
                self._step_alone(stepping)
            else:
                self._fail(stepping[0], error)
                self._probe()
            return
        self._advance(stepping, segments, logits)

    def _plan(self) -> tuple[list[Sequence], list[Segment]]:
        left = self._step_tokens
        stepping: list[tuple[Sequence, Segment]] = []
        for sequence in sorted(
            self._running, key=Sequence.pending
        ):  # stable: answers first, then prompts by size
            if left == 0:
                break
            segment = sequence.segment(left)
            left -= len(segment.tokens)
            stepping.append((sequence, segment))
        stepping.sort(key=lambda pair: id(pair[1].adapter))  # neighbours share an adapter's products
        return [sequence for sequence, _ in stepping], [segment for _, segment in stepping]

    def _step_alone(self, stepping: list[Sequence]) -> None:
        """Step each by itself after a shared step failed, so that only the one at fault fails."""
        for sequence in stepping:
            segment = sequence.segment(self._step_tokens)
            try:
                logits = self._model.forward([segment])
            except Exception as error:
                self._fail(sequence, error)
                self._probe()
            else:
                self._advance([sequence], [segment], logits)

    def _advance(self, stepping: list[Sequence], segments: list[Segment], logits: torch.Tensor) -> None:
        """Count what was read, and give every sequence that read its last token the next one."""
        for segment in segments:
            segment.cache.length += len(segment.tokens)
        choosing = [s for s, segment in zip(stepping, segments, strict=True) if segment.logits]
        tokens = choose(logits, [sequence.sampler for sequence in choosing])
        for sequence, token in zip(choosing, tokens, strict=True):
            if token is None:
                self._remove(sequence, _NO_NUMBERS)
                continue
            try:
                complete = sequence.accept(token)
            except Exception as error:
                self._fail(sequence, error)
                continue
            if complete:
                self._remove(sequence)

    def _probe(self) -> None:
        """After a failure: can the base still read one token? If not, the engine is broken: this raises."""
        cache = self._pool.allocate(1)
        if cache is None:
            return
        try:
            self._model.forward([Segment([0], cache)])
        finally:
            self._pool.release(cache)

    def _fail(self, sequence: Sequence, error: Exception) -> None:
        _log(error)
        self._remove(sequence, _FAILED)

    def _remove(self, sequence: Sequence, message: str | None = None) -> None:
        with self._wake:
            if sequence in self._running:
                self._running.remove(sequence)
        self._end(sequence, message)

    def _end(self, sequence: Sequence, message: str | None = None) -> None:
        """Free what the sequence held; with a message, report that it failed."""
        if sequence.cache is not None:
            self._pool.release(sequence.cache)
            sequence.cache = None
        try:
            if message is not None:
                sequence.report(Failed(message))
        except Exception as error:
            _log(error)
        finally:
            sequence.ended()


def _log(error: BaseException) -> None:
    """Type and frames only: an exception's own text may quote a prompt."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    logger.error("%s in the engine\n%s", type(error).__name__, frames)
