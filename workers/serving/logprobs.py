"""What the model thought of tokens: log-probabilities before temperature and all that changes logits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]  # [tokens, vocabulary]

_LOWEST = -9999.0  # JSON knows no infinity
_BLOCK = 128  # tokens


@dataclass(frozen=True)
class TokenLogprob:
    """A token, its log-probability (None for the first of a prompt, which nothing foretells), and the
    likeliest tokens in its place with theirs, best first."""

    token: int
    logprob: float | None
    top: tuple[tuple[int, float], ...] = ()


def of_tokens(logits: Rows, tokens: Sequence[int], top: int) -> list[TokenLogprob]:
    """Each token with what its row of `logits [tokens, vocabulary]` says of it and of the `top` likeliest."""
    return [_of_token(row, token, top) for row, token in zip(logits, tokens, strict=True)]


def of_prompt(logits: Rows, following: Sequence[int], top: int) -> list[TokenLogprob] | None:
    """Each token of a prompt as the row before it foretold it; None where the numbers overflowed."""
    if not np.isfinite(logits.max(axis=1)).all():
        return None
    return of_tokens(logits, following, top)


def _of_token(row: NDArray[np.float32], token: int, top: int) -> TokenLogprob:
    most = row.max()
    total = most + np.log(np.exp(row - most).sum())
    likeliest = _largest(row, top)
    values = np.maximum(row[likeliest] - total, _LOWEST).tolist()
    own = max(float(row[token] - total), _LOWEST)
    return TokenLogprob(token, own, tuple(zip(likeliest.tolist(), values, strict=True)))


def _largest(row: NDArray[np.float32], count: int) -> NDArray[np.intp]:
    """Where the `count` largest are, the largest first. They are in the blocks whose largest are largest, so
    that only these are sorted."""
    whole = len(row) // _BLOCK
    heads = row[: whole * _BLOCK].reshape(whole, _BLOCK).max(axis=1)
    blocks = np.sort(np.argpartition(heads, -count)[-count:]) if 0 < count < whole else np.arange(whole)
    inside = (blocks[:, None] * _BLOCK + np.arange(_BLOCK)).ravel()
    places = np.concatenate((inside, np.arange(whole * _BLOCK, len(row)))) if count else inside[:0]
    return places[np.argsort(-row[places], kind="stable")[:count]]
