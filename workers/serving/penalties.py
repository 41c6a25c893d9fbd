"""What a request changes in the logits: bias on tokens, penalties on those that were there before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

_FAR = 1e30


class LogitBias:
    """OpenAI's `logit_bias`: a number added to the logits of some tokens."""

    def __init__(self, bias: Mapping[int, float]) -> None:
        self._tokens = torch.tensor(list(bias.keys()), dtype=torch.int64)
        self._values = torch.tensor(list(bias.values()), dtype=torch.float32)

    def change(self, logits: Tensor) -> None:
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
        self._counts = torch.zeros(vocabulary)
        self._seen = torch.zeros(vocabulary, dtype=torch.bool)
        self._seen[list(prompt)] = True

    def add(self, token: int) -> None:
        """The answer's next token."""
        self._counts[token] += 1
        self._seen[token] = True

    def change(self, logits: Tensor) -> None:
        """In place, `[vocabulary]`."""
        if self._repetition != 1.0:
            repeated = torch.where(logits > 0, logits / self._repetition, logits * self._repetition)
            # Bounded, or a tiny penalty makes infinities, of which none is the likeliest.
            torch.where(self._seen, repeated.clamp_(-_FAR, _FAR), logits, out=logits)
        if self._frequency:
            logits.sub_(self._counts, alpha=self._frequency)
        if self._presence:
            logits.sub_((self._counts > 0).float(), alpha=self._presence)
