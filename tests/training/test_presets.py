"""What the presets choose, over datasets of all sizes, on a CPU and on GPUs."""

from __future__ import annotations

import pytest

from webapp.training.presets import GIB, PRESETS, QUICK_TOKENS, Given, Preset, steps
from webapp.training.spec import TrainingSpec

EVERY = pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.name)
GPU = {"device": "cuda", "device_bytes": 24 * GIB}


def chosen(preset: str, examples: int, **given: object) -> tuple[TrainingSpec, int]:
    """The preset's settings for a base of 30 layers, and the steps that they take."""
    spec = PRESETS[preset].spec(Given(**{"examples": examples, "layers": 30, **given}))  # type: ignore[arg-type]
    return spec, steps(spec, examples)


@EVERY
@pytest.mark.parametrize("examples", [1, 7, 100, 3000, 100_000])
@pytest.mark.parametrize("device", [{}, GPU])
@pytest.mark.parametrize("example_tokens", [None, 12.5, 900.0])
def test_every_choice_is_a_valid_spec_that_takes_steps(
    preset: Preset, examples: int, device: dict[str, object], example_tokens: float | None
) -> None:
    spec, taken = chosen(preset.name, examples, example_tokens=example_tokens, **device)
    assert TrainingSpec.parse(spec.as_dict()) == spec
    assert taken >= 1


@pytest.mark.parametrize(("layers", "learn"), [(30, 10), (32, 11), (2, 1), (1, 1), (80, 27)])
def test_quick_trains_the_top_third(layers: int, learn: int) -> None:
    spec, _ = chosen("quick", 157, layers=layers)
    assert spec.layers == learn
    assert spec.first_layer(layers) == layers - learn


def test_the_others_train_every_layer() -> None:
    assert {chosen(name, 157)[0].layers for name in ("balanced", "thorough")} == {0}


def test_quick_reads_a_small_dataset_several_times_in_small_steps() -> None:
    spec, taken = chosen("quick", 157, example_tokens=140)
    assert (spec.batch_size, spec.epochs, spec.max_steps) == (4, 4, 150)
    assert taken == 150


def test_quick_reads_a_few_hundred_examples_more_than_once() -> None:
    for examples in (200, 300, 400, 500):
        spec, taken = chosen("quick", examples, example_tokens=150)
        assert taken * spec.batch_size >= 2 * examples
        assert taken * spec.batch_size * 150 <= QUICK_TOKENS["cpu"]


@pytest.mark.parametrize("examples", [5_000, 100_000])
def test_quick_stays_quick_however_large_the_dataset(examples: int) -> None:
    spec, taken = chosen("quick", examples, example_tokens=200)
    assert taken * spec.batch_size * 200 <= QUICK_TOKENS["cpu"]
    assert spec.epochs == 1, "what is never read again needs no second epoch"


def test_long_examples_take_fewer_steps_but_enough_to_learn() -> None:
    short, long, longest = (chosen("quick", 1000, example_tokens=n)[1] for n in (150, 600, 1024))
    assert short > long > longest >= 24


def test_balanced_reads_everything_twice_and_thorough_three_times() -> None:
    for examples in (10, 157, 3001):
        for name, passes in (("balanced", 2), ("thorough", 3)):
            spec, taken = chosen(name, examples)
            assert spec.max_steps == 0
            assert taken == passes * -(-examples // spec.batch_size)


def test_thorough_has_twice_the_rank_and_ends_when_nothing_gets_better() -> None:
    balanced, thorough = chosen("balanced", 157)[0], chosen("thorough", 157)[0]
    assert (balanced.rank, thorough.rank) == (16, 32)
    assert balanced.scaling == thorough.scaling
    assert thorough.patience > 0 and thorough.evaluations > thorough.patience


def test_longer_runs_learn_at_a_lower_rate() -> None:
    rates = [chosen("balanced", examples)[0].learning_rate for examples in (100, 1000, 10_000)]
    assert rates == [1e-3, 5e-4, 2e-4]


def test_a_gpu_computes_more_at_once_and_leaves_the_precision_to_the_engine() -> None:
    on_cpu = chosen("balanced", 5000)[0]
    sizes = [
        chosen("balanced", 5000, device="cuda", device_bytes=gib * GIB)[0].batch_tokens
        for gib in (12, 40, 80)
    ]
    assert sizes == sorted(sizes) and sizes[0] > on_cpu.batch_tokens
    on_gpu = chosen("balanced", 5000, **GPU)[0]
    assert on_gpu.batch_size > on_cpu.batch_size
    assert (on_cpu.precision, on_gpu.precision, on_gpu.mode) == ("auto", "auto", "auto")


def test_a_small_dataset_keeps_small_steps_on_a_gpu_too() -> None:
    assert chosen("quick", 100, **GPU)[0].batch_size == 4


def test_before_any_worker_has_reported_a_cpu_is_assumed() -> None:
    assert PRESETS["quick"].spec(Given(examples=157, layers=30)) == chosen("quick", 157, device="cpu")[0]


def test_the_steps_of_a_spec_are_its_epochs_up_to_its_limit() -> None:
    assert steps(TrainingSpec(batch_size=4, epochs=2), 9) == 6
    assert steps(TrainingSpec(batch_size=4, epochs=2, max_steps=4), 9) == 4
    assert steps(TrainingSpec(batch_size=4, epochs=2, max_steps=40), 9) == 6
