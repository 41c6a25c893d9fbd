"""One run over several GPUs: each process has a part of every frozen weight, and learns from its examples.

The frozen layers are sharded with FSDP (Zhao et al. 2023; torch's `fully_shard`), as accelerate's file says.
A and B are small, so that every process has them whole: their gradients are added up at each step, and
optimiser, checkpoints and export stay what they are for one device.

Tested on two CPU processes, with the numbers of a run on one. Not run on GPUs: there is none here.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from webapp.training.spec import TrainingSpec
from workers.engine.errors import EngineError
from workers.engine.examples import Example
from workers.engine.general.base import GeneralBase
from workers.engine.general.learner import GeneralLearner, _random_numbers_of, micro_batches
from workers.engine.learner import Check
from workers.engine.ranks import Ranks


@dataclass(frozen=True)
class ShardedBase(GeneralBase):
    """A base whole in every process's host memory, from which each run's shards are made."""

    ranks: Ranks = field(default_factory=Ranks)

    @classmethod
    def load_for(cls, ranks: Ranks, folder: Path, precision: str, mode: str) -> ShardedBase:
        """Raises EngineError as `load` does, and for what several GPUs can't do together."""
        if mode not in ("auto", "resident") or precision == "fp16":
            raise EngineError(
                "One run over several GPUs keeps whole weights, in bf16 or fp32: choose the mode “resident” "
                "and the precision “auto”, or let your operator give each GPU a worker of its own."
            )
        base = GeneralBase.load(folder, precision, "resident", "cpu")
        parts = {part.name: getattr(base, part.name) for part in dataclasses.fields(base)}
        return cls(**parts, ranks=ranks)

    def learner(self, spec: TrainingSpec) -> ShardedLearner:
        return ShardedLearner(self, spec)


class ShardedLearner(GeneralLearner):
    """One adapter, the same in every process."""

    def __init__(self, base: ShardedBase, spec: TrainingSpec) -> None:
        self._ranks = base.ranks
        super().__init__(dataclasses.replace(base, model=_with_own_parameters(base.model)), spec)
        _shard(self._model, self._model.get_submodule(base.decoder.path), self.parameters(), base.ranks)
        self._base = dataclasses.replace(base, model=self._model)

    def learn(self, examples: Sequence[Example], step: int) -> float:
        """As on one device, up to the order of additions. Every `.grad` has to be None before."""
        labels = sum(example.labels for example in examples)
        total = 0.0
        with _random_numbers_of(self._spec.seed, step, self._ranks.rank), self._dropout():
            for group, counts in self._turns(examples):
                total += self._learn_some(group, labels if counts else math.inf)
        self._ranks.add_up([gradient for p in self.parameters() if (gradient := p.grad) is not None])
        return self._sum(total)

    def heldout_loss(self, examples: Sequence[Example], check: Check) -> float:
        total = 0.0
        with torch.no_grad():
            for group, counts in self._turns(examples):
                check()
                loss = float(self._summed_loss(group))
                total += loss if counts else 0.0
        return self._sum(total) / sum(example.labels for example in examples)

    def answers(self, prompts: Sequence[Sequence[int]], most: int, check: Check) -> list[list[int]]:
        """None: each token would gather all weights anew."""
        return []

    def _turns(self, examples: Sequence[Example]) -> list[tuple[list[Example], bool]]:
        """What this process computes, one group after the other, and whether it counts.

        All processes have as many turns, since a layer's weights are gathered by all at once; who has none
        left goes along with an example that counts for nothing.
        """
        by_length = sorted(examples, key=lambda example: len(example.tokens))
        count, most = self._ranks.count, self._spec.batch_tokens
        shares = [micro_batches(by_length[rank::count], most) for rank in range(count)]
        mine = [(group, True) for group in shares[self._ranks.rank]]
        return mine + [(by_length[:1], False)] * (max(map(len, shares)) - len(mine))

    def _sum(self, share: float) -> float:
        total = torch.tensor([share], dtype=torch.float64, device=self._ranks.device)
        self._ranks.add_up([total])
        return total.item()


def _with_own_parameters(model: Any) -> Any:
    """A copy of the modules whose parameters can be moved and cut without touching the model's own."""
    own = {id(p): torch.nn.Parameter(p.data, requires_grad=False) for p in model.parameters()}
    return copy.deepcopy(model, own)


def _shard(model: Any, layers: Any, learnt: Sequence[Tensor], ranks: Ranks) -> None:
    """Move the model to this process's device: of the decoder's frozen weights only this process's part.

    Embedding and head stay whole, since the head is computed outside of the decoder. Where accelerate's file
    asks for no FSDP everything stays whole, which is data parallelism.
    """
    if os.environ.get("ACCELERATE_USE_FSDP") != "true":
        model.to(ranks.device)
        return
    from accelerate import FullyShardedDataParallelPlugin
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import OffloadPolicy, fully_shard

    plugin: Any = FullyShardedDataParallelPlugin(fsdp_version=2)  # the rest it reads from the environment
    ends = [model.get_input_embeddings(), model.get_output_embeddings()]
    whole = {*learnt, *(p for end in ends if end is not None for p in end.parameters())}
    options: dict[str, Any] = {
        "mesh": init_device_mesh(ranks.device.type, (ranks.count,)),
        "offload_policy": plugin.cpu_offload or OffloadPolicy(),
        "ignored_params": whole,
    }
    for layer in layers:
        fully_shard(layer, reshard_after_forward=plugin.reshard_after_forward, **options)
    fully_shard(model.base_model, **options)
    for parameter in whole:
        parameter.data = parameter.data.to(ranks.device)
