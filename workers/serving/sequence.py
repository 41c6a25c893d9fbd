"""One request on its way through the engine, and what it reports as it goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from workers.serving.adapter_bank import LoadedAdapter
from workers.serving.errors import Failed as Failed
from workers.serving.grammar import Grammar
from workers.serving.kv_cache import KVCache
from workers.serving.logprobs import TokenLogprob, of_prompt
from workers.serving.penalties import LogitBias, Penalties
from workers.serving.sampler import Chosen, Sampler
from workers.serving.steps import Segment
from workers.serving.text import Detokenizer, StopStrings

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True)
class Delta:
    """More text. The last one of an answer says why it ended.

    `logprobs`, where they are wanted, are those of all tokens since the last one, also of tokens whose text
    is held back or never told.
    """

    text: str
    completion_tokens: int
    finish_reason: FinishReason | None = None
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True)
class PromptRead:
    """The prompt's tokens, each with what the model thought of it: comes before the first Delta."""

    logprobs: tuple[TokenLogprob, ...]


Event = Delta | PromptRead | Failed


@dataclass(eq=False)
class Sequence:
    """The tokens of one request, how the next is chosen, and whom to tell.

    `report` and `ended` are called from the engine's thread; `ended` exactly once, whatever happens.
    `logprobs` is how many of the likeliest tokens are told with every chosen one; None tells nothing of any.
    """

    tokens: list[int]
    max_tokens: int
    sampler: Sampler
    detokenizer: Detokenizer
    stops: StopStrings
    stop_tokens: frozenset[int]
    adapter: LoadedAdapter | None
    report: Callable[[Event], None]
    ended: Callable[[], None]
    tenant: str = ""  # its firm's cache_salt; "" where that is not known
    scope: bytes = b""  # of prefixes it may share: its tenant's, with its adapter; b"" shares none
    bias: LogitBias | None = None
    penalties: Penalties | None = None
    grammar: Grammar | None = None
    logprobs: int | None = None
    prompt_logprobs: bool = False  # of every token of the prompt too: it must be read whole, so no scope
    cancelled: bool = False  # set from any thread, seen at the next step
    cache: KVCache | None = None
    prompt_length: int = field(init=False)
    _untold: list[TokenLogprob] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.prompt_length = len(self.tokens)

    @property
    def capacity(self) -> int:
        """Tokens whose keys and values it may need; the last one chosen is never read back."""
        return self.prompt_length + self.max_tokens - 1

    @property
    def reading(self) -> bool:
        """Whether all that was read is of the prompt."""
        return len(self.tokens) == self.prompt_length

    def pending(self) -> int:
        """Tokens that the model has not read: the prompt at first, later the one chosen last."""
        return len(self.tokens) - (self.cache.length if self.cache else 0)

    def segment(self, limit: int) -> Segment:
        """The next tokens to read, `limit` at most; logits are wanted once none is left, or of every token
        of a prompt whose log-probabilities are wanted."""
        if self.cache is None:
            raise ValueError("A sequence steps once it has a cache.")
        start = self.cache.length
        tokens = self.tokens[start : start + limit]
        placed = self.adapter.placed if self.adapter else None
        if self.prompt_logprobs and self.reading:
            logits = len(tokens)
        else:
            logits = int(start + len(tokens) == len(self.tokens))
        return Segment(tokens, self.cache, placed, logits)

    def read_prompt(self, logits: Tensor) -> bool:
        """Take the logits `[tokens, vocabulary]` of the part of the prompt that was read last. True if they
        are usable. To be called for every step while `prompt_logprobs and reading`, in order."""
        if not self._untold:
            self._untold.append(TokenLogprob(self.tokens[0], None))
        following = self.tokens[len(self._untold) : len(self._untold) + len(logits)]
        logprobs = of_prompt(logits[: len(following)].numpy(), following, self.logprobs or 0)
        if logprobs is None:
            return False
        self._untold += logprobs
        if len(self._untold) == self.prompt_length:
            self.report(PromptRead(tuple(self._untold)))
            self._untold.clear()
        return True

    def accept(self, chosen: Chosen) -> bool:
        """Take the next token and report what it adds to the text. True once the answer is complete."""
        token = chosen.token
        self.tokens.append(token)
        if self.penalties is not None:
            self.penalties.add(token)
        if chosen.logprob is not None:
            self._untold.append(chosen.logprob)
        produced = len(self.tokens) - self.prompt_length
        reason: FinishReason | None = None
        text = ""
        if token in self.stop_tokens:
            reason = "stop"
        else:
            text = self.stops.add(self.detokenizer.add(token))
            if self.stops.met or (self.grammar is not None and self.grammar.complete_with(token)):
                reason = "stop"
            elif produced >= self.max_tokens:
                reason = "length"
        if reason is not None:
            text += self.stops.rest()
        if text or reason is not None:
            self.report(Delta(text, produced, reason, tuple(self._untold)))
            self._untold.clear()
        return reason is not None
