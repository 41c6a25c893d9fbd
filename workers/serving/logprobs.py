"""What the model thought of tokens: log-probabilities before temperature and all that changes logits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, tensor

_LOWEST = -9999.0  # JSON knows no infinity


@dataclass(frozen=True)
class TokenLogprob:
    """A token, its log-probability (None for the first of a prompt, which nothing foretells), and the
    likeliest tokens in its place with theirs, best first."""

    token: int
    logprob: float | None
    top: tuple[tuple[int, float], ...] = ()


def of_tokens(logits: Tensor, tokens: Sequence[int], top: int) -> list[TokenLogprob]:
    """Each token with what its row of `logits [tokens, vocabulary]` says of it and of the `top` likeliest."""
    found = logits.float().log_softmax(dim=-1)
    own = found.gather(1, tensor(tokens)[:, None])[:, 0].clamp(min=_LOWEST).tolist()
    values, likeliest = found.topk(top, dim=-1)
    best = zip(likeliest.tolist(), values.clamp(min=_LOWEST).tolist(), strict=True)
    return [
        TokenLogprob(token, logprob, tuple(zip(*row, strict=True)))
        for token, logprob, row in zip(tokens, own, best, strict=True)
    ]


def of_prompt(logits: Tensor, following: Sequence[int], top: int) -> list[TokenLogprob] | None:
    """Each token of a prompt as the row before it foretold it; None where the numbers overflowed."""
    if not logits.max(dim=-1).values.isfinite().all():
        return None
    return of_tokens(logits, following, top)
