"""Our forward and backward passes against transformers and PEFT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.engine.data import citation_lines
from tests.engine.reference import (
    a_spec,
    gradients_of,
    peft_model_like,
    peft_name,
    randomise,
    reference_loss,
)
from workers.engine.base_model import BaseModel
from workers.engine.batches import Batch, parts
from workers.engine.examples import Example, encode
from workers.engine.fast import FastLearner


def learner(base: BaseModel, **settings: Any) -> FastLearner:
    made = FastLearner(base, a_spec(**settings))
    randomise(made)
    return made


def examples(base: BaseModel, count: int) -> tuple[Example, ...]:
    return encode(base, citation_lines(count), 1024).train


def no_check() -> None:
    """Nothing ends these passes early."""


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        ({"rank": 4}, 1),
        ({"rank": 16}, 6),
        ({"rank": 16, "rslora": True}, 6),
        ({"rank": 16, "layers": 1}, 6),
        ({"rank": 4, "target": "attention"}, 3),
        ({"rank": 64, "target": "attention", "layers": 1}, 2),
        ({"rank": 4, "batch_tokens": 64}, 9),  # computed in several parts
    ],
)
def test_loss_and_every_gradient_equal_the_reference(
    tiny: BaseModel, tiny_folder: Path, settings: dict[str, Any], count: int
) -> None:
    ours = learner(tiny, **settings)
    batch = examples(tiny, count)
    expected = reference_loss(model := peft_model_like(ours, tiny_folder), batch)
    expected.backward()  # type: ignore[no-untyped-call]

    assert ours.learn(batch, 1) == pytest.approx(expected.item(), rel=1e-5)
    assert ours.heldout_loss(batch, no_check) == pytest.approx(expected.item(), rel=1e-5)

    parameters = dict(model.named_parameters())
    gradients = gradients_of(ours)
    assert {peft_name(name) for name in gradients} == {
        name for name, parameter in parameters.items() if parameter.requires_grad
    }
    for name, gradient in gradients.items():
        reference = parameters[peft_name(name)].grad
        assert (gradient - reference).norm() <= 1e-4 * reference.norm(), name


def test_a_step_in_parts_is_the_step_at_once(tiny: BaseModel) -> None:
    batch = examples(tiny, 9)
    assert len(parts(batch, 64)) > 3 and len(parts(batch, 4096)) == 1
    in_parts, at_once = learner(tiny, batch_tokens=64), learner(tiny, batch_tokens=4096)
    assert in_parts.learn(batch, 1) == pytest.approx(at_once.learn(batch, 1), rel=1e-5)
    for name, gradient in gradients_of(at_once).items():
        torch.testing.assert_close(gradients_of(in_parts)[name], gradient, rtol=1e-3, atol=1e-6)


def test_what_examples_begin_with_is_computed_once(tiny: BaseModel) -> None:
    batch = examples(tiny, 6)
    flat = Batch.of(batch)
    assert flat.shared > 8
    rows = sum(len(example.tokens) - 1 for example in batch)
    assert len(flat.tokens) == rows - flat.shared * (len(batch) - 1)
    for example in batch:
        assert example.tokens[: flat.shared] == batch[0].tokens[: flat.shared]
    assert [flat.tokens[row].item() for row in flat.label_rows[:1]] == [
        batch[0].tokens[batch[0].prompt_length - 1]
    ]


def test_examples_of_one_batch_do_not_see_each_other(tiny: BaseModel) -> None:
    batch = examples(tiny, 3)
    ours = learner(tiny)
    alone = [ours.heldout_loss([example], no_check) * example.labels for example in batch]
    together = ours.heldout_loss(batch, no_check)
    assert together == pytest.approx(sum(alone) / sum(example.labels for example in batch), rel=1e-5)


def test_logits_in_several_chunks_give_the_same_loss_and_gradients(
    tiny: BaseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = examples(tiny, 5)
    results: list[tuple[Tensor, dict[str, Tensor]]] = []
    for rows in (7, 10_000):
        monkeypatch.setattr("workers.engine.loss.LOGIT_ROWS", rows)
        ours = learner(tiny)
        results.append((torch.tensor(ours.learn(batch, 1)), gradients_of(ours)))
    torch.testing.assert_close(results[0], results[1], rtol=1e-4, atol=1e-6)


def test_a_fresh_adapter_changes_nothing(tiny: BaseModel, tiny_folder: Path) -> None:
    from transformers import AutoModelForCausalLM

    batch = examples(tiny, 2)
    base = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32)
    with torch.no_grad():
        expected = reference_loss(base, batch).item()
    assert FastLearner(tiny, a_spec()).heldout_loss(batch, no_check) == pytest.approx(expected, rel=1e-5)


def test_gradients_with_dropout_are_those_of_its_own_loss(tiny: BaseModel) -> None:
    """Against finite differences: the mask of a step is the same whenever that step is computed."""
    ours = learner(tiny, dropout=0.3)
    batch = examples(tiny, 4)
    ours.learn(batch, 3)
    for linear in ours.adapter.layers[1].values():
        parameter = linear.a
        assert parameter.grad is not None
        direction = parameter.grad / parameter.grad.norm()
        slope = (parameter.grad * direction).sum().item()
        losses = []
        for offset in (1e-2, -1e-2):
            with torch.no_grad():
                parameter.add_(direction, alpha=offset)
                losses.append(_loss_of_step(ours, batch, 3))
                parameter.sub_(direction, alpha=offset)
        assert (losses[0] - losses[1]) / 2e-2 == pytest.approx(slope, rel=0.05)


def _loss_of_step(ours: FastLearner, batch: tuple[Example, ...], step: int) -> float:
    kept = [parameter.grad.clone() for parameter in ours.parameters() if parameter.grad is not None]
    with torch.enable_grad():
        loss = ours.learn(batch, step)
    for parameter, gradient in zip(ours.parameters(), kept, strict=True):
        parameter.grad = gradient
    return loss


def test_dropout_drops_while_learning_and_never_while_measuring(tiny: BaseModel) -> None:
    batch = examples(tiny, 4)
    plain, dropping = learner(tiny), learner(tiny, dropout=0.5)
    assert dropping.heldout_loss(batch, no_check) == pytest.approx(
        plain.heldout_loss(batch, no_check), rel=1e-5
    )
    first, again, other = dropping.learn(batch, 1), dropping.learn(batch, 1), dropping.learn(batch, 2)
    assert first == again != other
    assert first != pytest.approx(plain.learn(batch, 1), rel=1e-4)
