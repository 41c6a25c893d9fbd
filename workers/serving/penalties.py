"""What a request changes in the logits: bias on tokens, penalties on those that were there before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

_FAR = 1e30


class LogitBias:
    """OpenAI's `logit_bias`: a number added to the logits of some tokens."""

    def __init__(self, bias: Mapping[int, float]) -> None:
        self._tokens = np.asarray(list(bias.keys()))
        self._values = np.asarray(list(bias.values()), np.float32)

    def change(self, logits: NDArray[np.float32]) -> None:
        """In place, `[vocabulary]`."""
        logits[self._tokens] += self._values


class Penalties:
    """What makes tokens less likely that were there before.

    `repetition` is CTRL's as transformers and vLLM have it (Keskar et al. 2019): positive logits of tokens of
    prompt and answer are divided by it, negative ones multiplied. `presence` and `frequency` are OpenAI's:
    taken off tokens of the answer once, and once for every time they are there.
    """

    def __init__(
        self,
        prompt: Sequence[int],
        vocabulary: int,
        *,
        presence: float = 0.0,
        frequency: float = 0.0,
        repetition: float = 1.0,
    ) -> None:
        self._presence, self._frequency, self._repetition = presence, frequency, repetition
        self._counts = np.zeros(vocabulary, np.float32)  # of the answer's tokens
        self._seen = np.zeros(vocabulary, np.bool_)  # tokens of prompt and answer
        self._seen[list(prompt)] = True

    def add(self, token: int) -> None:
        """The answer's next token."""
        self._counts[token] += 1
        self._seen[token] = True

    def change(self, logits: NDArray[np.float32]) -> None:
        """In place, `[vocabulary]`."""
        if self._repetition != 1.0:
            seen = logits[self._seen]
            # Bounded, or a tiny penalty makes infinities, of which none is the likeliest.
            raised = np.clip(seen / np.float64(self._repetition), -_FAR, _FAR)
            logits[self._seen] = np.where(seen > 0, raised, seen * self._repetition)
        if self._frequency:
            logits -= self._counts * np.float32(self._frequency)
        if self._presence:
            logits[self._counts > 0] -= self._presence
