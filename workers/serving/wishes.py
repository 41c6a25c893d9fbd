"""How a request wants its answers to be chosen and told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """Of both routes; the defaults change nothing. `limit` is in tokens: None for as many as the context
    holds, 0 for none, where only the prompt is to be read."""

    answers: int = 1  # to every prompt
    limit: int | None = None
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    seed: int | None = None
    presence: float = 0.0
    frequency: float = 0.0
    repetition: float = 1.0
    bias: Mapping[int, float] = field(default_factory=dict)
    stops: tuple[str, ...] = ()
    schema: dict[str, Any] | None = None  # that answers are held to
    logprobs: int | None = None  # how many of the likeliest tokens are told with every token; None: nothing
    prompt_logprobs: bool = False  # of the prompt's tokens too
    cache_salt: str = ""  # whose request it is

    @property
    def penalises(self) -> bool:
        return bool(self.presence or self.frequency or self.repetition != 1.0)
