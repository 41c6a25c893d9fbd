"""A model, its text side, its adapters and its thread, put together; requests in, answers out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass
from pathlib import Path

from starlette.concurrency import run_in_threadpool

from workers.serving import calibration
from workers.serving.about_base import AboutBase
from workers.serving.adapter_bank import AdapterBank
from workers.serving.answer import Answer
from workers.serving.config import LlamaConfig
from workers.serving.errors import EngineError, StartError
from workers.serving.grammar import GrammarCompiler
from workers.serving.kv_cache import KVStore
from workers.serving.kv_pool import KVPool
from workers.serving.llama import Llama
from workers.serving.loan import Loan
from workers.serving.passing_thread import in_passing_thread
from workers.serving.penalties import LogitBias, Penalties
from workers.serving.prefix_cache import scope_of
from workers.serving.probe import Probe
from workers.serving.sampler import Sampler
from workers.serving.scheduler import Scheduler
from workers.serving.sequence import Event, Sequence
from workers.serving.sizing import kv_budget
from workers.serving.text import Detokenizer, StopStrings, TextModel
from workers.serving.wishes import Wishes

BASE_NAME = "base"
Conversation = Many[Mapping[str, str]]
Prompts = Many[str | Many[int]]


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
    """One base model with its adapters. Start it, ask `chat` or `complete`, stop it."""

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
        self._grammars = GrammarCompiler(self.text.tokenizer_file, config.vocabulary, config.stop_tokens)
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

    def encode_chat(
        self, model: str, messages: Conversation, *, add_generation_prompt: bool = True
    ) -> list[int]:
        """A conversation's tokens as this model is asked with them. May wait as `AdapterBank.acquire` does.

        Raises EngineError.
        """
        loan = self._borrow(model)
        try:
            return self._encode_chat(loan, messages, add_generation_prompt=add_generation_prompt)
        finally:
            loan.give_back()

    async def chat(self, model: str, messages: Conversation, wishes: Wishes) -> Answer:
        """Start answering a conversation. Raises EngineError as `complete` does."""
        return await self._answer(model, lambda loan: [self._encode_chat(loan, messages)], wishes)

    async def complete(self, model: str, prompts: Prompts, wishes: Wishes) -> Answer:
        """Start continuing `prompts`, texts or token ids.

        Raises EngineError: 404 for an unknown model, 400 for a prompt that does not fit or a schema that
        answers can't be held to, 429 when busy.
        """
        return await self._answer(model, lambda loan: self._encode(prompts), wishes)

    async def _answer(self, model: str, encode: Callable[[Loan], list[list[int]]], wishes: Wishes) -> Answer:
        answer = Answer(self.scheduler)
        if model == BASE_NAME:
            loan = self._borrow(model)
        else:
            loan = await run_in_threadpool(self._borrow, model)  # may wait: not among the short jobs
        try:
            answer.prompts = await asyncio.to_thread(encode, loan)
            sequences = await asyncio.to_thread(self._sequences, answer, loan, wishes)
            answer.submit(sequences)
        finally:
            loan.give_back()
        return answer

    def _borrow(self, model: str) -> Loan:
        return Loan(self.adapters, None if model == BASE_NAME else self.adapters.acquire(model))

    def _encode_chat(
        self, loan: Loan, messages: Conversation, *, add_generation_prompt: bool = True
    ) -> list[int]:
        template = loan.adapter.chat_template if loan.adapter else None
        return self.text.encode_chat(messages, template=template, add_generation_prompt=add_generation_prompt)

    def _encode(self, prompts: Prompts) -> list[list[int]]:
        return [self.text.encode(one) if isinstance(one, str) else list(one) for one in prompts]

    def _sequences(self, answer: Answer, loan: Loan, wishes: Wishes) -> list[Sequence]:
        """One for every answer, which all use the loan. Raises EngineError before the first is made."""
        rooms = [self._room(prompt, wishes.limit) for prompt in answer.prompts]
        if wishes.bias and not max(wishes.bias) < self._vocabulary:
            raise EngineError(
                f"The parameter “logit_bias” has token ids that go from 0 to {self._vocabulary - 1}.",
                param="logit_bias",
            )
        grammar = self._grammars.compile(wishes.schema) if wishes.schema is not None else None
        sequences: list[Sequence] = []
        for prompt, room in zip(answer.prompts, rooms, strict=True):
            for number in range(wishes.answers):
                loan.take()
                sequences.append(
                    self._sequence(prompt, room, wishes, number, loan, answer.reporter(len(sequences)))
                )
                if grammar is not None:
                    sequences[-1].grammar = grammar.copy()
        return sequences

    def _sequence(
        self,
        prompt: list[int],
        room: int,
        wishes: Wishes,
        number: int,
        loan: Loan,
        report: Callable[[Event], None],
    ) -> Sequence:
        load_id = loan.adapter.load_id if loan.adapter else BASE_NAME
        return Sequence(
            tokens=list(prompt),
            max_tokens=room,
            sampler=Sampler(
                temperature=wishes.temperature,
                top_p=wishes.top_p,
                top_k=wishes.top_k,
                min_p=wishes.min_p,
                seed=None if wishes.seed is None else wishes.seed + number,
            ),
            detokenizer=Detokenizer(self.text),
            stops=StopStrings(wishes.stops),
            stop_tokens=self._stop_tokens,
            adapter=loan.adapter,
            report=report,
            ended=loan.give_back,
            tenant=wishes.cache_salt,
            # What the model thought of a prompt is known only where it is read from its beginning.
            scope=b"" if wishes.prompt_logprobs else scope_of(wishes.cache_salt, load_id),
            bias=LogitBias(wishes.bias) if wishes.bias else None,
            penalties=Penalties(
                prompt,
                self._vocabulary,
                presence=wishes.presence,
                frequency=wishes.frequency,
                repetition=wishes.repetition,
            )
            if wishes.penalises
            else None,
            logprobs=wishes.logprobs,
            prompt_logprobs=wishes.prompt_logprobs,
        )

    def _room(self, prompt: list[int], limit: int | None) -> int:
        """How many new tokens are allowed. Raises EngineError where prompt and answer don't fit."""
        if not prompt:
            raise EngineError("The prompt is empty: write something.", param="prompt")
        if not all(0 <= token < self._vocabulary for token in prompt):
            raise EngineError(f"Token ids go from 0 to {self._vocabulary - 1}.", param="prompt")
        left = self.context - len(prompt)
        if left < (0 if limit == 0 else 1):
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
        # Without a limit of its own an answer may fill the context; one token is chosen in any case.
        return left if limit is None else max(limit, 1)


def _context(config: LlamaConfig, wanted: int | None) -> int:
    if wanted is None:
        return config.context
    if not 2 <= wanted <= config.context:
        raise StartError(
            f"The context (--max-model-len) must be from 2 to this model's {config.context} tokens; "
            f"{wanted} was given."
        )
    return wanted
