"""The engine's thread: admit what waits, then step all running sequences together, token by token."""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable

import torch

from workers.serving.errors import EngineError, Failed
from workers.serving.fair_queue import FairQueue
from workers.serving.kv_pool import KVPool
from workers.serving.llama import Llama
from workers.serving.metrics import Metrics, Outcome, watch_pool
from workers.serving.sampler import OVERFLOWED, Chosen, choose
from workers.serving.sequence import Sequence
from workers.serving.step_plan import plan
from workers.serving.steps import Segment

logger = logging.getLogger(__name__)

_FAILED = Failed(
    "The engine could not work on this request: send it again, and tell your operator if it happens twice."
)
_STOPPED = Failed("The engine is stopping: send the request again in a moment.")
_CHOSEN = 2  # what a chosen token costs a tenant, where one of a prompt costs 1 (Sheng et al. 2024)


class Scheduler:
    """Runs sequences on one model in one thread.

    Sequences wait in a line that is fair across tenants, `max_waiting` at most, while `max_running` are
    running or the pool of keys and values has no room. `step_plan.plan` says what a step reads.
    """

    def __init__(
        self,
        model: Llama,
        pool: KVPool,
        *,
        max_running: int = 32,
        max_waiting: int = 512,
        step_tokens: int = 256,
        metrics: Metrics | None = None,
        on_broken: Callable[[], None] = lambda: None,
    ) -> None:
        self._model = model
        self._pool = pool
        self._max_running = max_running
        self._step_tokens = step_tokens
        self._on_broken = on_broken
        self._waiting: FairQueue[Sequence] = FairQueue(max_waiting)
        self._running: list[Sequence] = []  # in the order of admission
        self._wake = threading.Condition()
        self._stopping = False
        self._broken = False
        self.metrics = metrics or Metrics()
        self.metrics.watch("requests_waiting", "Requests in the line.", lambda: len(self._waiting))
        self.metrics.watch("requests_running", "Requests being answered.", lambda: len(self._running))
        watch_pool(self.metrics, pool)
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
        """Queue a sequence. Its `report` and `ended` are called from the engine's thread.

        Raises EngineError where it can't wait: 429 with `retry_after` in seconds, or 400 for one that the
        memory could never hold. It has `ended` then, without a report.
        """
        self.metrics.arrived(sequence)
        refusal: EngineError | None = None
        with self._wake:
            stopping = self._stopping
            if not stopping:
                refusal = self._refusal(sequence)
                self._wake.notify_all()
        if stopping:
            self._end(sequence, _STOPPED)
        if refusal is not None:
            self.metrics.ended(sequence, "refused")
            sequence.ended()
            raise refusal

    def cancel(self, sequence: Sequence) -> None:
        """Give up a sequence: its place is free at the next step."""
        with self._wake:
            sequence.cancelled = True
            self._wake.notify_all()

    def _refusal(self, sequence: Sequence) -> EngineError | None:
        """None once the sequence is in the line."""
        if not self._pool.fits(sequence.capacity):
            return EngineError(
                "Prompt and answer together need more memory than this engine has: ask for fewer tokens."
            )
        if self._waiting.add(sequence):
            return None
        return EngineError(
            "Too many requests are waiting for the engine: send this one again a little later.",
            status=429,
            kind="rate_limit_error",
            code="engine_busy",
            retry_after=self._waiting.retry_after(sequence.tenant),
        )

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
                left = [*self._running, *self._waiting.drain()]
                self._running.clear()
            for sequence in left:
                self._end(sequence, _STOPPED)
            if self._broken:
                self._on_broken()

    def _admit(self) -> bool:
        """Drop what was cancelled, let in what has room, sleep while there is nothing. False to stop."""
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._stopping or self._running or len(self._waiting))
                if self._stopping:
                    return False
                cancelled = [*self._waiting.take_cancelled(), *(s for s in self._running if s.cancelled)]
                self._running = [sequence for sequence in self._running if not sequence.cancelled]
            for sequence in cancelled:
                self._end(sequence)
            with self._wake:
                self._let_in()
                if self._running:
                    return True

    def _let_in(self) -> None:
        while len(self._running) < self._max_running:
            sequence = self._waiting.first()
            if sequence is None:
                return
            cache = self._pool.allocate(sequence.capacity, scope=sequence.scope, tokens=sequence.tokens)
            if cache is None:
                return
            sequence.cache = cache
            self._waiting.take(sequence)
            self._waiting.charge(sequence.tenant, sequence.pending())
            self._running.append(sequence)

    def _step(self) -> None:
        """One forward pass: a token for every sequence that answers, chunks of prompts as far as they fit."""
        stepping = plan(self._running, self._step_tokens)
        self.metrics.stepped(len(stepping))
        try:
            logits = self._model.forward([segment for _, segment in stepping])
        except Exception as error:
            if len(stepping) > 1:
                self._step_alone(stepping)
            else:
                self._fail(stepping[0][0], error)
                self._probe()
            return
        self._advance(stepping, logits)

    def _step_alone(self, stepping: list[tuple[Sequence, Segment]]) -> None:
        """Step each by itself after a shared step failed, so that only the one at fault fails."""
        for sequence, segment in stepping:
            try:
                logits = self._model.forward([segment])
            except Exception as error:
                self._fail(sequence, error)
                self._probe()
            else:
                self._advance([(sequence, segment)], logits)

    def _advance(self, stepping: list[tuple[Sequence, Segment]], logits: torch.Tensor) -> None:
        """Count what was read, and give every sequence that read its last token the next one."""
        choosing: list[Sequence] = []
        rows: list[int] = []
        end = 0
        for sequence, segment in stepping:
            segment.cache.length += len(segment.tokens)
            end += segment.logits
            if not self._read_prompt(sequence, logits[end - segment.logits : end]):
                continue
            if not sequence.pending():
                choosing.append(sequence)
                rows.append(end - 1)
        with self._wake:
            for sequence in choosing:
                self._waiting.charge(sequence.tenant, _CHOSEN)
        self._choose(logits if len(rows) == len(logits) else logits[rows], choosing)

    def _read_prompt(self, sequence: Sequence, logits: torch.Tensor) -> bool:
        """Tell a sequence what the model thought of its prompt, where it wants that. False if it failed."""
        if not (sequence.prompt_logprobs and sequence.reading):
            return True
        try:
            usable = sequence.read_prompt(logits)
        except Exception as error:
            self._fail(sequence, error)
            return False
        if not usable:
            self._remove(sequence, OVERFLOWED)
        return usable

    def _choose(self, logits: torch.Tensor, sequences: list[Sequence]) -> None:
        """Give each its next token, by its row of `logits [sequences, vocabulary]`."""
        try:
            chosen = choose(logits, sequences)
        except Exception as error:
            if len(sequences) == 1:
                self._fail(sequences[0], error)
                return
            for row, sequence in enumerate(sequences):  # so that only the one at fault fails
                self._choose(logits[row : row + 1], [sequence])
            return
        for sequence, one in zip(sequences, chosen, strict=True):
            if isinstance(one, Failed):
                self._remove(sequence, one)
            else:
                self._take(sequence, one)

    def _take(self, sequence: Sequence, chosen: Chosen) -> None:
        """Give a sequence its next token, and let it go if that was the last."""
        if sequence.reading and sequence.cache is not None:
            self._pool.share(sequence.cache, scope=sequence.scope, tokens=sequence.tokens)
        self.metrics.chose(sequence)
        try:
            complete = sequence.accept(chosen)
        except Exception as error:
            self._fail(sequence, error)
            return
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

    def _remove(self, sequence: Sequence, failed: Failed | None = None) -> None:
        with self._wake:
            if sequence in self._running:
                self._running.remove(sequence)
        self._end(sequence, failed)

    def _end(self, sequence: Sequence, failed: Failed | None = None) -> None:
        """Free what the sequence held; where it failed, report that."""
        cache, sequence.cache = sequence.cache, None
        if cache is not None:
            # What a failed sequence read is not trusted.
            self._pool.release(cache, scope=b"" if failed else sequence.scope, tokens=sequence.tokens)
        outcome: Outcome = "failed" if failed else "cancelled" if sequence.cancelled else "completed"
        self.metrics.ended(sequence, outcome)
        try:
            if failed is not None:
                sequence.report(failed)
        except Exception as error:
            _log(error)
        finally:
            sequence.ended()


def _log(error: BaseException) -> None:
    """Type and frames only: an exception's own text may quote a prompt."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    logger.error("%s in the engine\n%s", type(error).__name__, frames)
