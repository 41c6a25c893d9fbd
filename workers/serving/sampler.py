"""From logits to the next token."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

_LIKELY = 256  # nearly always enough candidates for top-p; sorting a whole vocabulary costs milliseconds


@dataclass
class Sampler:
    """One request's way of choosing. Temperature 0 takes the likeliest token; a seed repeats its choices."""

    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None
    _random: torch.Generator = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._random = torch.Generator()
        self._random.manual_seed(secrets.randbits(63) if self.seed is None else self.seed)

    def draw(self, logits: Tensor) -> int:
        """A token from softmax(logits / temperature), cut to the nucleus `top_p` (Holtzman et al. 2020)."""
        # The maximum goes first, so that a tiny temperature can't overflow.
        probabilities = torch.softmax((logits - logits.max()) / self.temperature, dim=-1)
        if self.top_p >= 1.0:
            return int(self._pick(probabilities))
        likely, tokens = probabilities.topk(min(_LIKELY, probabilities.shape[0]))
        if float(likely.sum()) < self.top_p:
            likely, tokens = probabilities.sort(descending=True)
        mass_before = likely.cumsum(-1) - likely
        nucleus = likely[mass_before < self.top_p]
        return int(tokens[self._pick(nucleus)])

    def _pick(self, weights: Tensor) -> Tensor:
        """An index, likely in proportion to its weight."""
        cumulative = weights.double().cumsum(-1)
        point = torch.rand((), generator=self._random, dtype=torch.float64) * cumulative[-1]
        return torch.searchsorted(cumulative, point, right=True).clamp_(max=weights.shape[0] - 1)


def choose(logits: Tensor, samplers: Sequence[Sampler]) -> list[int | None]:
    """The next token for each row of `logits [rows, vocabulary]`; None where a row has no usable numbers."""
    best, likeliest = logits.max(dim=-1)
    usable, greedy = best.isfinite().tolist(), likeliest.tolist()
    return [
        None if not usable[row] else greedy[row] if sampler.temperature == 0 else sampler.draw(logits[row])
        for row, sampler in enumerate(samplers)
    ]
