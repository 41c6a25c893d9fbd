"""Our forward and backward passes against transformers and PEFT."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.engine.data import citation_lines
from tests.engine.reference import a_spec, peft_model_like, peft_name, randomise, reference_loss
from workers.engine.adapter import Adapter
from workers.engine.base_model import BaseModel
from workers.engine.batches import Batch
from workers.engine.examples import encode
from workers.engine.forward import mean_loss


def gradients_of(adapter: Adapter) -> dict[str, torch.Tensor]:
    """Every gradient by the name of its parameter."""
    named: dict[str, torch.Tensor] = {}
    for index, layer in enumerate(adapter.layers):
        for linear in layer.linears.values():
            for part in linear.parts:
                assert linear.a.grad is not None
                assert part.b.grad is not None
                name = f"layers.{index}.{part.name}"
                named[f"{name}.lora_A"] = linear.a.grad[part.ranks]
                named[f"{name}.lora_B"] = part.b.grad
    return named


@pytest.mark.parametrize(
    ("rank", "target", "count"),
    [(4, "all-linear", 1), (16, "all-linear", 6), (4, "attention", 3), (64, "attention", 2)],
)
def test_loss_and_every_gradient_equal_the_reference(
    tiny: BaseModel, tiny_folder: Path, rank: int, target: str, count: int
) -> None:
    adapter = Adapter(tiny, a_spec(rank=rank, target=target))
    randomise(adapter)
    examples = encode(tiny, citation_lines(count), 1024).train
    expected = reference_loss(model := peft_model_like(adapter, tiny_folder), examples)
    expected.backward()  # type: ignore[no-untyped-call]

    loss = mean_loss(adapter, Batch.of(examples))
    loss.backward()  # type: ignore[no-untyped-call]

    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=0)
    parameters = dict(model.named_parameters())
    gradients = gradients_of(adapter)
    assert {peft_name(name) for name in gradients} == {
        name for name, parameter in parameters.items() if parameter.requires_grad
    }
    for name, gradient in gradients.items():
        reference = parameters[peft_name(name)].grad
        assert (gradient - reference).norm() <= 1e-4 * reference.norm(), name


def test_logits_in_several_chunks_give_the_same_loss_and_gradients(
    tiny: BaseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = Batch.of(encode(tiny, citation_lines(5), 1024).train)
    results = []
    for rows in (7, 10_000):
        monkeypatch.setattr("workers.engine.forward.LOGIT_ROWS", rows)
        adapter = Adapter(tiny, a_spec())
        randomise(adapter)
        loss = mean_loss(adapter, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        results.append((loss, gradients_of(adapter)))
    torch.testing.assert_close(results[0], results[1], rtol=1e-4, atol=1e-6)


def test_examples_of_one_batch_do_not_see_each_other(tiny: BaseModel) -> None:
    adapter = Adapter(tiny, a_spec())
    randomise(adapter)
    examples = encode(tiny, citation_lines(3), 1024).train
    with torch.no_grad():
        alone = [mean_loss(adapter, Batch.of([example])).item() * example.labels for example in examples]
        together = mean_loss(adapter, Batch.of(examples)).item()
    assert together == pytest.approx(sum(alone) / sum(example.labels for example in examples), rel=1e-5)


def test_a_fresh_adapter_changes_nothing(tiny: BaseModel, tiny_folder: Path) -> None:
    from transformers import AutoModelForCausalLM

    examples = encode(tiny, citation_lines(2), 1024).train
    base = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32)
    with torch.no_grad():
        loss = mean_loss(Adapter(tiny, a_spec()), Batch.of(examples))
        torch.testing.assert_close(loss, reference_loss(base, examples), rtol=1e-5, atol=0)
