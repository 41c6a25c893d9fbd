"""How well an adapter predicts the examples that were held out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from workers.engine.adapter import Adapter
from workers.engine.batches import Batch, by_length
from workers.engine.examples import Example
from workers.engine.forward import mean_loss


@torch.no_grad()
def heldout_loss(
    adapter: Adapter, examples: Sequence[Example], batch_size: int, check: Callable[[], None]
) -> float:
    """The mean negative log likelihood of a label token over all `examples` (natural logarithm).

    `check` is called before every batch and may raise to end it early.
    """
    adapter.merge()
    total, labels = 0.0, 0
    for group in by_length(examples, batch_size):
        check()
        batch = Batch.of(group)
        total += mean_loss(adapter, batch).item() * len(batch.labels)
        labels += len(batch.labels)
    return total / labels
