"""From logits to the next token."""

from __future__ import annotations

from collections.abc import Sequence as Many
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
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

_LIKELY = 256  # tokens; nearly always enough of them for top-p
_TINY = 1e-30  # a temperature; what is smaller chooses alike

Row = NDArray[np.float32]  # [vocabulary]


@dataclass(frozen=True)
class Chosen:
    """The next token, and where it is wanted what the model thought of it."""

    token: int
    logprob: TokenLogprob | None = None


@dataclass
class Sampler:
    """One request's way of choosing. Temperature 0 takes the likeliest token; a seed repeats its choices.

    A token stays in question if it is at least `min_p` times as likely as the likeliest (Nguyen et al. 2024),
    among the `top_k` likeliest (0: all), and within the nucleus `top_p` of those (Holtzman et al. 2020).
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    seed: int | None = None
    _random: np.random.Generator = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._random = np.random.default_rng(None if self.seed is None else self.seed % 2**64)

    def draw(self, logits: Row) -> int:
        """A token from softmax(logits / temperature), of those in question."""
        # The maximum goes first, so that a tiny temperature can't overflow.
        with np.errstate(over="ignore"):
            weights: Row = np.exp((logits - logits.max()) / max(self.temperature, _TINY))
        if self.min_p:
            weights[weights < self.min_p] = 0.0  # the likeliest weighs 1
        if not self.top_k and self.top_p >= 1.0:
            return self._pick(weights)
        tokens = self._likeliest(weights)
        return int(tokens[self._pick(weights[tokens])])

    def _likeliest(self, weights: Row) -> NDArray[np.intp]:
        """The tokens within top-k and top-p, best first."""
        if self.top_k:
            tokens = _best(weights, self.top_k)
            nucleus = self.top_p * weights[tokens].sum(dtype=np.float64)
        else:
            nucleus = self.top_p * weights.sum(dtype=np.float64)
            # Sorting a whole vocabulary costs milliseconds, and is rarely needed.
            for size in (_LIKELY, 16 * _LIKELY, len(weights)):
                tokens = _best(weights, size)
                if weights[tokens].sum(dtype=np.float64) >= nucleus:
                    break
        mass = weights[tokens].cumsum(dtype=np.float64)
        # One more than the tokens that together still weigh too little.
        return tokens[: int(mass.searchsorted(nucleus)) + 1]

    def _pick(self, weights: Row) -> int:
        """An index, likely in proportion to its weight."""
        mass = weights.cumsum(dtype=np.float64)
        point = min(self._random.random() * mass[-1], np.nextafter(mass[-1], 0))
        return int(mass.searchsorted(point, side="right"))


def _best(weights: Row, count: int) -> NDArray[np.intp]:
    """The tokens of the `count` largest weights, the largest first, of equal ones the first."""
    if count >= len(weights):
        return np.argsort(-weights, kind="stable")
    tokens = np.sort(np.argpartition(weights, -count)[-count:])
    return tokens[np.argsort(-weights[tokens], kind="stable")]


def choose(logits: Tensor, sequences: Many[Sequence]) -> list[Chosen | Failed]:
    """The next token for each row of `logits [rows, vocabulary]`, or what says why there is none.

    What is chosen depends on the row and its sequence alone. `logits` stays as it is.
    """
    if not sequences:
        return []
    # NumPy in one thread: what is done here is so little that threads would mostly wait for each other.
    numbers: NDArray[np.float32] = logits.numpy()
    likeliest = numbers.argmax(axis=1)
    usable = np.isfinite(numbers[np.arange(len(numbers)), likeliest])
    chosen = [
        _choose(row, int(best), sequence) if right else OVERFLOWED
        for row, best, right, sequence in zip(numbers, likeliest, usable, sequences, strict=True)
    ]
    told = _logprobs(numbers, sequences, chosen)
    return [one if isinstance(one, Failed) else Chosen(one, told.get(row)) for row, one in enumerate(chosen)]


def _choose(logits: Row, likeliest: int, sequence: Sequence) -> int | Failed:
    if sequence.bias or sequence.penalties or sequence.grammar:
        logits = logits.copy()
        if sequence.bias:
            sequence.bias.change(logits)
        if sequence.penalties:
            sequence.penalties.change(logits)
        if sequence.grammar and not sequence.grammar.change(logits):
            return _TOO_COMPLEX
        likeliest = int(logits.argmax())
    return likeliest if sequence.sampler.temperature == 0 else sequence.sampler.draw(logits)


def _logprobs(
    numbers: NDArray[np.float32], sequences: Many[Sequence], chosen: list[int | Failed]
) -> dict[int, TokenLogprob]:
    """By row, of the rows that want them: the chosen token and the likeliest, of the model's own numbers."""
    return {
        row: of_tokens(numbers[row : row + 1], [token], sequence.logprobs)[0]
        for row, (sequence, token) in enumerate(zip(sequences, chosen, strict=True))
        if sequence.logprobs is not None and isinstance(token, int)
    }
