"""From logits to the next token."""

from __future__ import annotations

import secrets
from collections.abc import Sequence as Many
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from workers.serving.errors import Failed
from workers.serving.logprobs import TokenLogprob, of_tokens

if TYPE_CHECKING:
    from workers.serving.sequence import Sequence

OVERFLOWED = Failed(
    "The model's numbers overflowed on this request: the adapter is unusable, so train it again."
)
_TOO_COMPLEX = Failed(
    "The schema in “response_format” has become too much to compute: ask for a simpler one.",
    param="response_format",
)

_LIKELY = 256  # nearly always enough candidates for top-p; sorting a whole vocabulary costs milliseconds


@dataclass(frozen=True)
class Chosen:
    """The next token, and where it is wanted what the model thought of it."""

    token: int
    logprob: TokenLogprob | None = None


@dataclass
class Sampler:
    """One request's way of choosing. Temperature 0 takes the likeliest token; a seed repeats its choices.

    A token stays in question if it is among the `top_k` likeliest (0: all), at least `min_p` times as likely
    as the likeliest (Nguyen et al. 2024), and within the nucleus `top_p` of those (Holtzman et al. 2020).
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    seed: int | None = None
    _random: torch.Generator = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._random = torch.Generator()
        self._random.manual_seed(secrets.randbits(63) if self.seed is None else self.seed)

    def draw(self, logits: Tensor) -> int:
        """A token from softmax(logits / temperature), of those in question."""
        # The maximum goes first, so that a tiny temperature can't overflow.
        probabilities = torch.softmax((logits - logits.max()) / self.temperature, dim=-1)
        if self.min_p:
            probabilities[probabilities < self.min_p * probabilities.max()] = 0.0
        if not self.top_k and self.top_p >= 1.0:
            return int(self._pick(probabilities))
        likely, tokens = self._likeliest(probabilities)
        return int(tokens[self._pick(likely)])

    def _likeliest(self, probabilities: Tensor) -> tuple[Tensor, Tensor]:
        """The tokens within top-k and top-p, best first: their probabilities, and which they are."""
        size = probabilities.shape[0]
        likely, tokens = probabilities.topk(min(self.top_k or _LIKELY, size))
        if self.top_p >= 1.0:
            return likely, tokens
        nucleus = self.top_p * float(likely.sum() if self.top_k else probabilities.sum())
        if float(likely.sum()) < nucleus:
            likely, tokens = probabilities.sort(descending=True)
        mass_before = likely.cumsum(-1) - likely
        inside = mass_before < nucleus
        return likely[inside], tokens[inside]

    def _pick(self, weights: Tensor) -> Tensor:
        """An index, likely in proportion to its weight."""
        cumulative = weights.double().cumsum(-1)
        point = torch.rand((), generator=self._random, dtype=torch.float64) * cumulative[-1]
        return torch.searchsorted(cumulative, point, right=True).clamp_(max=weights.shape[0] - 1)


def choose(logits: Tensor, sequences: Many[Sequence]) -> list[Chosen | Failed]:
    """The next token for each row of `logits [rows, vocabulary]`, or what says why there is none.

    What is chosen depends on the row and its sequence alone. `logits` stays as it is.
    """
    if not sequences:
        return []
    best, likeliest = logits.max(dim=-1)
    usable, greedy = best.isfinite().tolist(), likeliest.tolist()
    chosen: list[int | Failed] = [
        (_choose(logits[row], greedy[row], sequence) if usable[row] else OVERFLOWED)
        for row, sequence in enumerate(sequences)
    ]
    told = _logprobs(logits, sequences, chosen)
    return [one if isinstance(one, Failed) else Chosen(one, told.get(row)) for row, one in enumerate(chosen)]


def _choose(logits: Tensor, likeliest: int, sequence: Sequence) -> int | Failed:
    if sequence.bias or sequence.penalties or sequence.grammar:
        logits = logits.clone()
        if sequence.bias:
            sequence.bias.change(logits)
        if sequence.penalties:
            sequence.penalties.change(logits)
        if sequence.grammar and not sequence.grammar.change(logits):
            return _TOO_COMPLEX
        likeliest = int(logits.argmax())
    return likeliest if sequence.sampler.temperature == 0 else sequence.sampler.draw(logits)


def _logprobs(
    logits: Tensor, sequences: Many[Sequence], chosen: list[int | Failed]
) -> dict[int, TokenLogprob]:
    """By row, of the rows that want them: the chosen token and the likeliest, of the model's own numbers."""
    rows = [
        (row, token, sequence.logprobs)
        for row, (sequence, token) in enumerate(zip(sequences, chosen, strict=True))
        if sequence.logprobs is not None and isinstance(token, int)
    ]
    if not rows:
        return {}
    most = max(top for _, _, top in rows)
    found = of_tokens(logits[[row for row, _, _ in rows]], [token for _, token, _ in rows], most)
    return {
        row: TokenLogprob(one.token, one.logprob, one.top[:top])
        for (row, _, top), one in zip(rows, found, strict=True)
    }
