"""One request on its way through the engine, and what it reports as it goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from workers.serving.adapter_bank import LoadedAdapter
from workers.serving.kv_cache import KVCache
from workers.serving.steps import Segment
from workers.serving.sampler import Sampler
from workers.serving.text import Detokenizer, StopStrings

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True)
class Delta:
    """More text. The last one of an answer says why it ended."""

    text: str
    completion_tokens: int
    finish_reason: FinishReason | None = None


@dataclass(frozen=True)
class Failed:
    """The request ended without an answer; one sentence for the caller."""

    message: str


Event = Delta | Failed


@dataclass(eq=False)
class Sequence:
    """The tokens of one request, how the next is chosen, and whom to tell.

    `report` and `ended` are called from the engine's thread; `ended` exactly once, whatever happens.
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
    cancelled: bool = False  # set from any thread, seen at the next step
    cache: KVCache | None = None
    prompt_length: int = field(init=False)

    def __post_init__(self) -> None:
        self.prompt_length = len(self.tokens)

    @property
    def capacity(self) -> int:
        """Tokens whose keys and values it may need; the last one chosen is never read back."""
        return self.prompt_length + self.max_tokens - 1

    def pending(self) -> int:
        """Tokens that the model has not read: the prompt at first, later the one chosen last."""
        return len(self.tokens) - (self.cache.length if self.cache else 0)

    def segment(self, limit: int) -> Segment:
        """The next tokens to read, `limit` at most; logits are wanted once none is left."""
        if self.cache is None:
            raise ValueError("A sequence steps once it has a cache.")
        start = self.cache.length
        tokens = self.tokens[start : start + limit]
        placed = self.adapter.placed if self.adapter else None
        return Segment(tokens, self.cache, placed, int(start + len(tokens) == len(self.tokens)))

    def accept(self, token: int) -> bool:
        """Take the next token and report what it adds to the text. True once the answer is complete."""
        self.tokens.append(token)
        produced = len(self.tokens) - self.prompt_length
        reason: FinishReason | None = None
        text = ""
        if token in self.stop_tokens:
            reason = "stop"
        else:
            text = self.stops.add(self.detokenizer.add(token))
            if self.stops.met:
                reason = "stop"
            elif produced >= self.max_tokens:
                reason = "length"
        if reason is not None:
            text += self.stops.rest()
        if text or reason is not None:
            self.report(Delta(text, produced, reason))
        return reason is not None
