"""What tests do with an adapter in training, whichever way it computes."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from workers.engine.learner import Learner


def nothing() -> None:
    """A check that never ends anything."""


def fill(learner: Learner, seed: int = 1) -> None:
    """Give B values too: a fresh adapter changes nothing and teaches A nothing."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in learner.parameters():
            parameter.normal_(0, 0.05, generator=generator)


def fill_from(learner: Learner, tensors: Mapping[str, Tensor]) -> None:
    """Give it another's A and B."""
    own = learner.tensors()
    assert set(own) == set(tensors)
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[name])


def take_gradients(learner: Learner) -> dict[str, Tensor]:
    """Every gradient by the name of its A or B. They stand in for the parameters from then on."""
    with torch.no_grad():
        for parameter in learner.parameters():
            assert parameter.grad is not None
            parameter.copy_(parameter.grad)
    return {name: tensor.clone() for name, tensor in learner.tensors().items()}


def assert_close(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], relative: float = 1e-4) -> None:
    """Each tensor equals the other's, measured by the length of what is between them."""
    assert set(found) == set(expected)
    for name, tensor in found.items():
        assert (tensor - expected[name]).norm() <= relative * expected[name].norm(), name
