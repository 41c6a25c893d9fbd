"""What one step reads: who gets how many of its tokens."""

from __future__ import annotations

from collections.abc import Iterable

from workers.serving.sequence import Sequence
from workers.serving.steps import Segment

_SURE = 4  # a fraction: what prompts have of a step at least, and of that the one that is at it longest


def plan(running: Iterable[Sequence], step_tokens: int) -> list[tuple[Sequence, Segment]]:
    """The segments of a step over `running`, given in the order of admission.

    Every sequence that answers reads the token chosen last. Prompts share what is left of `step_tokens`, the
    shortest first, since that ends the most waits soonest; but a quarter goes to the one that was admitted
    first, so that a long prompt comes to its end whatever else arrives.
    """
    waiting = [(sequence, sequence.pending()) for sequence in running]
    shares = [(sequence, 1) for sequence, pending in waiting if pending == 1]
    prompts = [(sequence, pending) for sequence, pending in waiting if pending > 1]
    shares += _share(prompts, max(step_tokens - len(shares), step_tokens // _SURE, 1))
    segments = [(sequence, sequence.segment(share)) for sequence, share in shares]
    segments.sort(key=lambda pair: id(pair[1].adapter))  # neighbours share an adapter's products
    return segments


def _share(prompts: list[tuple[Sequence, int]], tokens: int) -> list[tuple[Sequence, int]]:
    """How many of `tokens` each of the prompts, given with what they have left to read, gets; none gets 0."""
    if not prompts:
        return []
    oldest, pending = prompts[0]
    shares = {oldest: min(pending, max(tokens // _SURE, 1))}
    tokens -= shares[oldest]
    for sequence, pending in sorted(prompts, key=lambda prompt: prompt[1]):
        more = min(pending - shares.get(sequence, 0), tokens)
        if more > 0:
            shares[sequence] = shares.get(sequence, 0) + more
            tokens -= more
    return list(shares.items())
