"""The answers to a request as they grow, read from the event loop that asked for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial

from workers.serving.errors import EngineError
from workers.serving.scheduler import Scheduler
from workers.serving.sequence import Delta, Event, Failed, PromptRead, Sequence


class Answer:
    """All answers to one request: `wishes.answers` to each of its prompts, in the order of the prompts."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[tuple[int, Event]] = asyncio.Queue()
        self._open: dict[int, Sequence] = {}
        self._completion_tokens: dict[int, int] = {}
        self.prompts: list[list[int]] = []

    @property
    def prompt_tokens(self) -> int:
        return sum(map(len, self.prompts))

    @property
    def completion_tokens(self) -> int:
        """Of all answers, those that were told."""
        return sum(self._completion_tokens.values())

    def reporter(self, index: int) -> Callable[[Event], None]:
        """Where the sequence of this number reports to, from the engine's thread."""
        return partial(self._post, index)

    def submit(self, sequences: list[Sequence]) -> None:
        """Start all of them. Raises EngineError where one can't wait; then none is worked on, and all of
        them have `ended`."""
        for index, sequence in enumerate(sequences):
            try:
                self._scheduler.submit(sequence)
            except EngineError:
                self.close()
                for left in sequences[index + 1 :]:
                    left.ended()
                raise
            self._open[index] = sequence

    async def events(self) -> AsyncIterator[tuple[int, Delta | PromptRead]]:
        """What each answer, by its number, grows by, until all have told why they ended.

        Raises EngineError if one of them fails; the others are given up.
        """
        while self._open:
            index, event = await self._events.get()
            if isinstance(event, Failed):
                self._open.pop(index)
                self.close()
                raise _failure(event)
            if isinstance(event, Delta):
                self._completion_tokens[index] = event.completion_tokens
                if event.finish_reason is not None:
                    self._open.pop(index)
            yield index, event

    def close(self) -> None:
        """Give up what is not finished: nobody will read it."""
        for sequence in self._open.values():
            self._scheduler.cancel(sequence)
        self._open.clear()

    def _post(self, index: int, event: Event) -> None:
        self._loop.call_soon_threadsafe(self._events.put_nowait, (index, event))


def _failure(failed: Failed) -> EngineError:
    if failed.param is not None:
        return EngineError(failed.message, param=failed.param)
    return EngineError(failed.message, status=500, kind="server_error")
