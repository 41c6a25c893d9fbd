"""The processes that compute one run together, one a GPU. Usually there is only this one.

Each does the same in the same order, because whoever exchanges something waits for all the others. Only the
first hears requests, speaks and writes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor

# The first may be without work for as long as nobody wants to train; the others then wait for its word.
PATIENCE = timedelta(days=3650)


@dataclass(frozen=True)
class Ranks:
    """This process among those of a run."""

    rank: int = 0
    count: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    _control: Any = None  # a group for words, beside that for numbers

    @classmethod
    def join(cls) -> Ranks:
        """As `accelerate launch` (or torchrun) says in the environment; alone where nothing says so.

        Tested on two CPU processes with gloo. On GPUs the numbers go through NCCL, which is untested here.
        """
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return cls()
        import torch.distributed as dist
        from accelerate import PartialState  # only here: nobody else needs it, and it takes a second

        state = PartialState(cpu=not torch.cuda.is_available())
        control = dist.new_group(backend="gloo", timeout=PATIENCE)
        return cls(state.process_index, state.num_processes, state.device, control)

    @property
    def first(self) -> bool:
        return self.rank == 0

    @property
    def several(self) -> bool:
        return self.count > 1

    def agree(self, word: Any) -> Any:
        """What the first process says; all of them ask at the same point."""
        if not self.several:
            return word
        import torch.distributed as dist

        words = [word]
        dist.broadcast_object_list(words, src=0, group=self._control)
        return words[0]

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace each by its sum over all processes, where it gets the same bits."""
        import torch.distributed as dist

        flat = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(flat)
        sums = torch.split(flat, [tensor.numel() for tensor in tensors])
        for tensor, found in zip(tensors, sums, strict=True):
            tensor.copy_(found.view_as(tensor))
