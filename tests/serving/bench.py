"""The engine's thread on the tiny model, its parts in reach, without HTTP."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workers.serving.adapter_bank import LoadedAdapter
from workers.serving.config import LlamaConfig
from workers.serving.kv_cache import BLOCK, KVStore
from workers.serving.kv_pool import KVPool
from workers.serving.llama import Llama
from workers.serving.sampler import Sampler
from workers.serving.scheduler import Scheduler
from workers.serving.sequence import Delta, Event, Failed, Sequence
from workers.serving.text import Detokenizer, StopStrings, TextModel

PROMPT = "The parties agree that"
CONTEXT = 4096  # tokens


@dataclass
class Asked:
    """A request made in this process, and all that was reported of it."""

    sequence: Sequence = field(init=False)
    events: list[Event] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    endings: int = 0

    def end(self) -> None:
        self.endings += 1
        self.over.set()

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, Delta))

    @property
    def answer(self) -> list[int]:
        """The tokens chosen."""
        return self.sequence.tokens[self.sequence.prompt_length :]

    @property
    def failed(self) -> bool:
        return any(isinstance(event, Failed) for event in self.events)

    @property
    def finish_reason(self) -> str | None:
        last = self.events[-1] if self.events else None
        return last.finish_reason if isinstance(last, Delta) else None

    def wait(self) -> Asked:
        assert self.over.wait(60)
        return self


class Bench:
    """A scheduler that is not started yet, on a model that is read once for all of a module's tests."""

    def __init__(self, folder: Path, model: Llama, *, tokens: int = CONTEXT, **settings: Any) -> None:
        self.config, self.model = model.config, model
        self.text = TextModel(folder)
        self.pool = KVPool(KVStore(self.config, tokens // BLOCK))
        self.broke = threading.Event()
        settings = {"max_running": 4, "on_broken": self.broke.set, **settings}
        self.scheduler = Scheduler(model, self.pool, **settings)

    def ask(self, prompt: list[int] | None = None, **settings: Any) -> Asked:
        """Submit a request as `make` makes it."""
        asked = self.make(prompt, **settings)
        self.scheduler.submit(asked.sequence)
        return asked

    def make(
        self,
        prompt: list[int] | None = None,
        *,
        adapter: LoadedAdapter | None = None,
        max_tokens: int = 4,
        tenant: str = "",
        scope: bytes = b"",
        report: Callable[[Event], None] | None = None,
        endless: bool = False,
    ) -> Asked:
        """A request that is answered greedily; an endless one has no stop token."""
        asked = Asked()
        asked.sequence = Sequence(
            tokens=list(prompt or self.text.encode(PROMPT)),
            max_tokens=max_tokens,
            sampler=Sampler(temperature=0),
            detokenizer=Detokenizer(self.text),
            stops=StopStrings([]),
            stop_tokens=frozenset() if endless else self.config.stop_tokens,
            adapter=adapter,
            report=report or asked.events.append,
            ended=asked.end,
            tenant=tenant,
            scope=scope,
        )
        return asked

    def close(self) -> None:
        if self.scheduler.healthy:
            self.scheduler.stop()


def load_model(folder: Path) -> Llama:
    return Llama.load(folder, LlamaConfig.read(folder), CONTEXT)
