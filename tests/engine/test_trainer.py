"""The training loop."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests.engine.data import citation_lines
from tests.engine.reference import a_spec
from webapp.training.spec import TrainingSpec
from workers.engine.adapter import Adapter
from workers.engine.base_model import BaseModel
from workers.engine.batches import plan
from workers.engine.errors import EngineError
from workers.engine.examples import Dataset, encode
from workers.engine.export import export
from workers.engine.trainer import HeldOut, Started, Step, learning_rate, train


@pytest.fixture(scope="module")
def dataset(tiny: BaseModel) -> Dataset:
    return encode(tiny, [*citation_lines(24), *citation_lines(6, "heldout", start=100)], 1024)


def run(base: BaseModel, dataset: Dataset, **settings: Any) -> tuple[Adapter, list[Any]]:
    events: list[Any] = []
    spec = a_spec(**{"learning_rate": 1e-2, **settings})
    return train(base, dataset, spec, events.append, lambda: None), events


def test_it_learns_a_rule_and_says_so(tiny: BaseModel, dataset: Dataset) -> None:
    adapter, events = run(tiny, dataset, epochs=5)
    started, before, *steps, after = events
    assert isinstance(started, Started)
    assert started.trainable_parameters == sum(tensor.numel() for tensor in adapter.tensors().values())
    assert started.frozen_parameters == tiny.parameters
    assert (started.steps, started.train_examples, started.heldout_examples) == (30, 24, 6)
    assert started.train_tokens == sum(len(example.tokens) for example in dataset.train)
    assert all(isinstance(step, Step) for step in steps)
    assert [step.step for step in steps] == list(range(1, 31))
    assert steps[-1].loss < 0.7 * steps[0].loss
    assert (before.step, after.step) == (0, 30)
    assert after.loss < 0.8 * before.loss


def test_the_base_is_the_same_bytes_afterwards(tiny: BaseModel, dataset: Dataset) -> None:
    before = digest(tiny)
    run(tiny, dataset, max_steps=3)
    assert digest(tiny) == before


def digest(base: BaseModel) -> str:
    layers = [tensor for layer in base.layers for tensor in (layer.attention_norm, layer.mlp_norm)]
    linears = [linear.weight for layer in base.layers for linear in layer.linears.values()]
    tensors = [base.embedding, base.norm, base.head, base.inverse_frequencies, *layers, *linears]
    total = hashlib.sha256()
    for tensor in tensors:
        assert not tensor.requires_grad
        total.update(tensor.numpy().tobytes())
    return total.hexdigest()


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(
    tiny: BaseModel, dataset: Dataset, tmp_path: Path
) -> None:
    hashes = [
        export(run(tiny, dataset, max_steps=4, seed=seed)[0], tmp_path / name).sha256
        for name, seed in (("first", 7), ("second", 7), ("other", 8))
    ]
    assert hashes[0] == hashes[1] != hashes[2]


def test_only_the_target_modules_are_trained(tiny: BaseModel, dataset: Dataset) -> None:
    adapter, _ = run(tiny, dataset, target="attention", max_steps=1)
    assert {name.split(".")[3] for name in adapter.tensors()} == {"q_proj", "k_proj", "v_proj", "o_proj"}


def test_numbers_that_run_away_end_in_a_sentence(tiny: BaseModel, dataset: Dataset) -> None:
    norm = tiny.norm.clone()
    try:
        tiny.norm.fill_(float("inf"))
        with pytest.raises(EngineError, match="ran away at step 1: choose a lower learning rate"):
            run(tiny, Dataset(dataset.train, (), 0))
    finally:
        tiny.norm.copy_(norm)


def test_a_dataset_without_heldout_examples_has_no_heldout_loss(tiny: BaseModel, dataset: Dataset) -> None:
    _, events = run(tiny, Dataset(dataset.train, (), 0), max_steps=2)
    assert not any(isinstance(event, HeldOut) for event in events)


def test_a_run_ends_at_the_check_after_it_was_cancelled(tiny: BaseModel, dataset: Dataset) -> None:
    class Stopped(Exception):
        pass

    steps: list[int] = []

    def report(event: Any) -> None:
        if isinstance(event, Step):
            steps.append(event.step)

    def check() -> None:
        if steps[-1:] == [2]:
            raise Stopped

    with pytest.raises(Stopped):
        train(tiny, dataset, a_spec(), report, check)
    assert steps == [1, 2]


def test_every_epoch_sees_every_example_in_an_order_of_its_own(dataset: Dataset) -> None:
    steps = plan(dataset.train, a_spec(epochs=2, batch_size=5))
    assert [len(step) for step in steps] == [5, 5, 5, 5, 4] * 2
    first, second = ([example for step in steps[at : at + 5] for example in step] for at in (0, 5))
    assert sorted(first, key=hash) == sorted(second, key=hash) == sorted(dataset.train, key=hash)
    assert first != second
    assert steps == plan(dataset.train, a_spec(epochs=2, batch_size=5))
    assert steps != plan(dataset.train, a_spec(epochs=2, batch_size=5, seed=1))
    assert plan(dataset.train, a_spec(epochs=2, batch_size=5, max_steps=3)) == steps[:3]


def test_the_learning_rate_rises_to_its_peak_and_falls_to_nearly_nothing() -> None:
    spec = TrainingSpec(learning_rate=1e-3, warmup_share=0.1)
    rates = [learning_rate(step, 100, spec) for step in range(1, 101)]
    assert rates[:10] == pytest.approx([1e-4 * step for step in range(1, 11)])
    assert max(rates) == pytest.approx(1e-3)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[-1] < 1e-6


@pytest.mark.parametrize("warmup_share", [0, 0.5])
def test_a_run_of_one_step_learns_something(warmup_share: float) -> None:
    assert learning_rate(1, 1, TrainingSpec(warmup_share=warmup_share)) > 0
