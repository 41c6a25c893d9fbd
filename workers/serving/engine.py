"""A model, its text side, its adapters and its thread, put together; requests in, answers out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from workers.serving import calibration
from workers.serving.about_base import AboutBase
from workers.serving.adapter_bank import AdapterBank
from workers.serving.config import LlamaConfig
from workers.serving.errors import EngineError, StartError, model_not_found
from workers.serving.kv_cache import KVStore
from workers.serving.kv_pool import KVPool
from workers.serving.llama import Llama
from workers.serving.passing_thread import in_passing_thread
from workers.serving.prefix_cache import scope_of
from workers.serving.probe import Probe
from workers.serving.sampler import Sampler
from workers.serving.scheduler import Scheduler
from workers.serving.sequence import Delta, Event, Failed, Sequence
from workers.serving.sizing import kv_budget
from workers.serving.text import Detokenizer, StopStrings, TextModel

BASE_NAME = "base"


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """How large the engine may grow. `max_model_len`, `kv_cache_tokens` and `step_tokens` count tokens."""

    model: Path
    adapters_root: Path | None = None
    max_model_len: int | None = None
    max_loras: int = 4096  # adapters known at once
    lora_memory: int = 2**30  # bytes for the matrices of those that are in memory
    max_num_seqs: int = 32
    max_waiting: int = 512
    kv_cache_tokens: int | None = None
    kv_cache_memory: int | None = None  # bytes; with neither, a part of the machine's memory
    step_tokens: int = 256
    weights: str = "auto"  # float32, int8, or auto: int8 where the machine has its kernels


class Engine:
    """One base model with its adapters. Start it, ask `generate`, stop it."""

    def __init__(self, options: EngineOptions, on_broken: Callable[[], None] = lambda: None) -> None:
        config = LlamaConfig.read(options.model)
        self.context = _context(config, options.max_model_len)
        self.kv_budget = kv_budget(
            config,
            self.context,
            options.max_num_seqs,
            tokens=options.kv_cache_tokens,
            memory=options.kv_cache_memory,
        )
        self.text = TextModel(options.model)
        self._stop_tokens = config.stop_tokens
        self._vocabulary = config.vocabulary
        model = in_passing_thread(lambda: self._load_model(options, config))
        self.adapters = AdapterBank(
            config,
            base_name=BASE_NAME,
            base=AboutBase.read(options.model),
            root=options.adapters_root,
            arena_bytes=options.lora_memory,
            max_registered=options.max_loras,
            probe=Probe(model),
        )
        self.scheduler = Scheduler(
            model,
            KVPool(KVStore(config, self.kv_budget.blocks)),
            max_running=options.max_num_seqs,
            max_waiting=options.max_waiting,
            step_tokens=options.step_tokens,
            on_broken=on_broken,
        )

    def _load_model(self, options: EngineOptions, config: LlamaConfig) -> Llama:
        text = self.text.encode(calibration.TEXT)[: self.context]
        return Llama.load(options.model, config, self.context, weights=options.weights, calibration=text)

    def load_adapter(self, name: str, path: str) -> None:
        """Load the adapter at `path` as `name`; takes a tenth of a second or so. Raises EngineError."""
        self.adapters.load(name, path)

    def check_model(self, name: str) -> None:
        """Raises EngineError (404) unless the base or a loaded adapter has this name."""
        if name != BASE_NAME and name not in self.adapters:
            raise model_not_found(name)

    def generate(
        self,
        model: str,
        prompt: list[int],
        *,
        limit: int | None,
        sampler: Sampler,
        stops: list[str],
        cache_salt: str = "",
    ) -> Answer:
        """Start answering `prompt`; `limit` new tokens at most, None for what the context holds.

        Requests of one `cache_salt` are one firm's: they take turns with other firms', and share prefixes.

        Raises EngineError: 404 for an unknown model, 400 for a prompt that does not fit, 429 when busy.
        """
        max_tokens = self._room(prompt, limit)
        adapter = None if model == BASE_NAME else self.adapters.acquire(model)
        answer = Answer(self.scheduler, len(prompt))
        answer.sequence = Sequence(
            tokens=prompt,
            max_tokens=max_tokens,
            sampler=sampler,
            detokenizer=Detokenizer(self.text),
            stops=StopStrings(stops),
            stop_tokens=self._stop_tokens,
            adapter=adapter,
            report=answer.post,
            ended=lambda: self.adapters.release(adapter) if adapter else None,
            tenant=cache_salt,
            scope=scope_of(cache_salt, adapter.load_id if adapter else BASE_NAME),
        )
        self.scheduler.submit(answer.sequence)
        return answer

    def _room(self, prompt: list[int], limit: int | None) -> int:
        """How many new tokens are allowed. Raises EngineError where prompt and answer don't fit."""
        if not prompt:
            raise EngineError("The prompt is empty: write something.", param="prompt")
        if not all(0 <= token < self._vocabulary for token in prompt):
            raise EngineError(f"Token ids go from 0 to {self._vocabulary - 1}.", param="prompt")
        left = self.context - len(prompt)
        if left < 1:
            raise EngineError(
                f"The prompt has {len(prompt)} tokens and the model's context holds {self.context}, with at "
                "least one for the answer: shorten the prompt.",
                code="context_length_exceeded",
            )
        if limit is not None and limit > left:
            raise EngineError(
                f"The prompt has {len(prompt)} tokens and up to {limit} more are asked for, but the model's "
                f"context holds {self.context}: ask for at most {left}, or shorten the prompt.",
                param="max_tokens",
                code="context_length_exceeded",
            )
        return left if limit is None else limit


class Answer:
    """One answer as it grows, read from the event loop that asked for it."""

    sequence: Sequence

    def __init__(self, scheduler: Scheduler, prompt_tokens: int) -> None:
        self._scheduler = scheduler
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self.prompt_tokens = prompt_tokens
        self.completion_tokens = 0
        self._finished = False

    def post(self, event: Event) -> None:
        """Called from the engine's thread."""
        self._loop.call_soon_threadsafe(self._events.put_nowait, event)

    async def deltas(self) -> AsyncIterator[Delta]:
        """The pieces of text, up to the one with a finish reason. Raises EngineError if the engine fails."""
        while not self._finished:
            event = await self._events.get()
            if isinstance(event, Failed):
                self._finished = True
                raise EngineError(event.message, status=500, kind="server_error")
            self.completion_tokens = event.completion_tokens
            self._finished = event.finish_reason is not None
            yield event

    def close(self) -> None:
        """Give up the rest of the answer, if there is any: nobody will read it."""
        if not self._finished:
            self._scheduler.cancel(self.sequence)


def _context(config: LlamaConfig, wanted: int | None) -> int:
    if wanted is None:
        return config.context
    if not 2 <= wanted <= config.context:
        raise StartError(
            f"The context (--max-model-len) must be from 2 to this model's {config.context} tokens; "
            f"{wanted} was given."
        )
    return wanted
