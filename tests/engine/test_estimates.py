"""The estimator's memory beside the tensors that the engine really keeps for its backward pass."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from webapp.training.estimate import Machine, Shape, Workload, memory
from webapp.training.estimate.plan import Plan
from webapp.training.spec import TrainingSpec
from workers.engine.base_model import BaseModel
from workers.engine.examples import Example
from workers.engine.fast import FastLearner

MACHINE = Machine(
    name="a processor",
    kind="cpu",
    memory_bytes=2**34,
    host_memory_bytes=2**34,
    matrix_flops=1e11,
    read_bytes_per_s=1e9,
    free_disk_bytes=2**36,
)
LENGTH, PROMPT, COUNT = 241, 144, 4


def kept_bytes(learner: FastLearner, examples: list[Example]) -> int:
    """Bytes of all that is kept from the loss to its backward pass, but for the parameters themselves."""
    own = {parameter.untyped_storage().data_ptr() for parameter in learner.parameters()}
    found: dict[int, int] = {}

    def keep(tensor: Tensor) -> Any:
        found[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    learner.layers.refresh()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        alive = learner._loss(examples, None)
    assert alive[0].requires_grad
    return sum(size for place, size in found.items() if place not in own)


@pytest.mark.parametrize("shared", [0, 64])
@pytest.mark.parametrize("layers", [0, 1])
def test_activations_are_what_the_layers_keep(
    tiny: BaseModel, tiny_folder: Path, shared: int, layers: int
) -> None:
    spec = TrainingSpec(rank=4, layers=layers)
    random_tokens = random.Random(0)
    beginning = tuple(range(100, 100 + shared))
    examples = [
        Example(beginning + tuple(random_tokens.randrange(1000) for _ in range(LENGTH - shared)), PROMPT)
        for _ in range(COUNT)
    ]
    work = Workload(
        examples=COUNT,
        tokens=COUNT * LENGTH,
        label_tokens=COUNT * (LENGTH - PROMPT),
        longest=LENGTH,
        shared=shared,
    )
    shape = Shape.from_config(json.loads((tiny_folder / "config.json").read_text()))
    plan = Plan(shape, spec, work, MACHINE, "resident")
    rows = COUNT * (LENGTH - 1) - shared * (COUNT - 1)  # an example's last token is a label and no row
    learner = FastLearner(tiny, spec)
    # Beside the layers: the hidden states of the labels, with their gradient.
    ends = 2 * work.label_tokens * shape.hidden * 4
    assert kept_bytes(learner, examples) == pytest.approx(memory.kept(plan, rows) * 4 + ends, rel=0.05)
