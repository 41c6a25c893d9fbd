"""What the estimator says of memory, time, disk and the mode that fits, from configurations alone."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from tests.models import base_model_folder
from webapp.training.estimate import (
    FAST_PATH,
    Calibration,
    Estimate,
    Machine,
    Shape,
    Workload,
    choose,
    estimate,
    evaluation_count,
    memory,
    plan,
    seconds,
)
from webapp.training.estimate.known import CARDS, GB, MODELS
from webapp.training.spec import TrainingSpec

SHAPES = {model.name: model.shape for model in MODELS}
LLAMA_70B, LLAMA_8B, LLAMA_1B = (SHAPES[f"Llama-{name}"] for name in ("3-70B", "3-8B", "3.2-1B"))
WORK = Workload.of_length(400, 400)
CPU = Machine(
    name="A processor",
    kind="cpu",
    memory_bytes=24 * GB,
    host_memory_bytes=24 * GB,
    matrix_flops=170e9,
    read_bytes_per_s=1e9,
    free_disk_bytes=100 * GB,
)


@pytest.fixture(scope="module")
def small() -> Shape:
    """The base of this installation."""
    return Shape.from_config(json.loads((base_model_folder() / "config.json").read_text()))


def made(
    shape: Shape, mode: str = "resident", machine: Machine = CPU, work: Workload = WORK, **spec: Any
) -> Estimate:
    return estimate(shape, TrainingSpec(**spec), work, machine, mode)


def test_llama_3_70b_at_rank_16_trains_on_one_24_gb_card_by_streaming_alone() -> None:
    choice = choose(LLAMA_70B, TrainingSpec(rank=16), WORK, CARDS["24"])
    assert choice.chosen is not None
    assert choice.chosen.mode == "streamed"
    assert choice.chosen.trainable == 207_093_760
    assert choice.chosen.bytes < 24 * GB
    assert choice.chosen.host_bytes < CARDS["24"].host_memory_bytes
    assert choice.chosen.disk.total < CARDS["24"].free_disk_bytes
    assert [option.estimate.mode for option in choice.refused] == ["resident", "nf4"]
    for option in choice.refused:
        assert "of memory, and 22.6 GB can be used." in option.problem
    weights = {option.estimate.mode: option.estimate.memory.weights for option in choice.options}
    assert weights["resident"] == 2 * 70_553_706_496
    assert 0.5 * 68e9 < weights["nf4"] < 0.6 * 70e9 + 4 * LLAMA_70B.embedding


def test_weights_that_fit_are_held_in_memory() -> None:
    modes = {
        (name, card): choose(SHAPES[name], TrainingSpec(), WORK, CARDS[card]).chosen
        for name in SHAPES
        for card in CARDS
    }
    assert {key: found.mode for key, found in modes.items() if found is not None} == {
        ("Llama-3.2-1B", "24"): "resident",
        ("Llama-3.2-1B", "80"): "resident",
        ("Llama-3-8B", "24"): "nf4",
        ("Llama-3-8B", "80"): "resident",
        ("Llama-3-70B", "24"): "streamed",
        ("Llama-3-70B", "80"): "streamed",
    }


def test_memory_by_part_of_the_small_base_in_memory(small: Shape) -> None:
    parts = made(small).memory
    assert parts.weights == 4 * 134_515_008
    assert parts.merged == 4 * 30 * small.matrix()
    assert parts.adapter == 2 * 4 * 4_884_480  # as it is, and the best so far
    assert parts.optimiser == 3 * 4 * 4_884_480  # gradients, two moments
    assert 256 * 49_152 * 4 < parts.logits < 1.1 * 256 * 49_152 * 4
    assert parts.total == sum(dataclasses.astuple(parts))


def test_with_dropout_or_few_targets_less_is_merged(small: Shape) -> None:
    assert made(small, dropout=0.1).memory.merged == 0
    attention = small.matrix(("q_proj", "k_proj", "v_proj", "o_proj"))
    assert made(small, target="attention").memory.merged == 4 * 30 * attention


def test_streamed_weights_take_two_layers_however_many_there_are(small: Shape) -> None:
    deep = dataclasses.replace(small, layers=10 * small.layers)
    layers = 4 * (2 * small.layer_parameters + small.embedding + small.hidden)
    assert made(small, "streamed").memory.weights == made(deep, "streamed").memory.weights == layers
    assert made(deep, "streamed").memory.merged == 0
    kept = made(deep, "streamed").memory.activations - made(small, "streamed").memory.activations
    states = 4 * 400 * 9 * small.layers * small.hidden  # what every layer read, at the least of one example
    assert kept > states


def test_a_part_computes_no_more_tokens_than_asked_or_one_example(small: Shape) -> None:
    assert made(small, batch_tokens=1024).tokens_at_once == 1024
    assert made(small, batch_tokens=64).tokens_at_once == 400
    assert made(small, batch_size=2).tokens_at_once == 800
    for tokens in (512, 2048):
        twice = made(small, batch_tokens=2 * tokens, batch_size=16).memory.activations
        assert twice == pytest.approx(
            2 * made(small, batch_tokens=tokens, batch_size=16).memory.activations, rel=0.01
        )


def test_what_examples_share_is_computed_once(small: Shape) -> None:
    shared = dataclasses.replace(WORK, shared=100)
    spec = TrainingSpec(batch_size=3, batch_tokens=1536)
    assert shared.computed(spec) == WORK.tokens - 100 * 400 * 2 / 3
    assert shared.rows(spec) == WORK.rows(spec) - 200
    assert made(small, work=shared).seconds.training < made(small).seconds.training


def test_examples_of_many_lengths_need_more_than_the_mean_at_once() -> None:
    even = dataclasses.replace(WORK, longest=800)
    uneven = dataclasses.replace(even, spread=150.0)
    spec = TrainingSpec(batch_size=4, batch_tokens=8192)
    assert even.rows(spec) == 1600
    assert 1600 < uneven.rows(spec) < 3200


def test_a_frozen_prefix_costs_disk_once_and_saves_time_in_every_epoch(small: Shape) -> None:
    top = made(small, layers=10, epochs=3)
    whole = made(small, epochs=3)
    assert top.frozen_prefix and not whole.frozen_prefix
    assert top.disk.prefix == 4 * 576 * (WORK.tokens + WORK.heldout_tokens)
    assert whole.disk.prefix == 0
    assert top.seconds.prefix == made(small, layers=10, epochs=1).seconds.prefix > 0
    assert top.seconds.training < whole.seconds.training / 2
    assert top.seconds.evaluations < whole.seconds.evaluations / 2
    assert top.memory.activations < whole.memory.activations / 2


def test_a_frozen_prefix_is_kept_by_the_fast_path_alone() -> None:
    gemma = Shape.from_config(
        {
            "model_type": "gemma2",
            "hidden_size": 2304,
            "intermediate_size": 9216,
            "num_attention_heads": 8,
            "num_hidden_layers": 26,
            "vocab_size": 256000,
        }
    )
    top = made(gemma, layers=6)
    assert not top.frozen_prefix
    assert top.disk.prefix == 0
    assert top.seconds.training < made(gemma).seconds.training  # no gradient goes below


def test_time_grows_with_epochs_tokens_and_weights_and_falls_with_the_rate(small: Shape) -> None:
    one = made(small).seconds.training
    assert made(small, epochs=3).seconds.training == pytest.approx(3 * one)
    assert made(small, max_steps=25).seconds.training == pytest.approx(one / 2)
    assert made(LLAMA_1B).seconds.training > 6 * one
    fast = dataclasses.replace(CPU, matrix_flops=2 * CPU.matrix_flops)
    assert made(small, machine=fast).seconds.training == pytest.approx(one / 2)


def test_six_operations_a_weight_and_token_are_the_most_that_training_costs(small: Shape) -> None:
    """Full fine-tuning costs 6 a weight; without gradients of frozen weights it is 4, and the head's."""
    done = made(small).seconds.training * CPU.matrix_flops * seconds.EFFICIENCY["cpu", True]
    weights = small.layers * small.matrix()
    assert 3.5 < done / (WORK.tokens * weights) < 6


def test_a_streamed_run_waits_for_the_disk_where_that_is_slower() -> None:
    slow = dataclasses.replace(CARDS["24"], read_bytes_per_s=1e9)
    work = Workload.of_length(40, 400)
    spec = TrainingSpec(batch_size=2)
    found = estimate(LLAMA_70B, spec, work, slow, "streamed").seconds.training
    layers = 80 * LLAMA_70B.layer_parameters * 2
    assert found == pytest.approx(20 * 2 * layers / 1e9)
    in_memory = dataclasses.replace(slow, host_memory_bytes=512 * GB, memory_bytes=24 * GB)
    assert estimate(LLAMA_70B, spec, work, in_memory, "streamed").seconds.training < found


def test_a_run_is_measured_as_often_as_the_engine_measures_it() -> None:
    from workers.engine.schedule import evaluation_steps

    for evaluations in (1, 5, 30):
        for examples, heldout in ((8, 4), (400, 40), (30, 300), (3, 900)):
            work = dataclasses.replace(
                Workload.of_length(examples, 100), heldout_examples=heldout, heldout_tokens=heldout * 100
            )
            spec = TrainingSpec(evaluations=evaluations, epochs=2)
            places = evaluation_steps(
                spec, steps=work.steps(spec), train_tokens=2 * work.tokens, heldout_tokens=work.heldout_tokens
            )
            assert evaluation_count(work, spec) == 1 + len(places)


def test_its_constants_are_the_engines() -> None:
    from workers.engine import base_model, loss, schedule, trainer

    assert FAST_PATH == base_model.FAMILIES
    assert memory.LOGIT_ROWS == loss.LOGIT_ROWS
    assert seconds.EVALUATION_SHARE == schedule.EVALUATION_SHARE
    assert seconds.ANSWER_TOKENS == trainer.ANSWER_TOKENS


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("mode", ["resident", "streamed"])
def test_a_run_is_planned_for_the_path_that_the_engine_takes(mode: str, precision: str) -> None:
    from workers.engine.load import resolve

    spec = TrainingSpec(precision=precision)
    if (mode, precision) == ("streamed", "bf16"):
        choice = choose(LLAMA_1B, dataclasses.replace(spec, mode=mode), WORK, CPU)
        assert "computes in fp32, and bf16 was asked for." in choice.problem
        return
    way = resolve(fast=True, precision=precision, mode=mode, quickest="fp32")
    planned = plan.Plan(LLAMA_1B, spec, WORK, CPU, mode)
    assert planned.is_fast == (way.path == "fast")
    assert (planned.precision, planned.mode) == (way.precision, way.mode)


def test_past_runs_calibrate_memory_and_time(small: Shape) -> None:
    plain = choose(small, TrainingSpec(), WORK, CPU).chosen
    found = choose(small, TrainingSpec(), WORK, CPU, lambda mode: Calibration(1.2, 0.5, 3)).chosen
    assert plain is not None and found is not None
    assert found.bytes == pytest.approx(1.2 * plain.bytes)
    assert found.total_seconds == pytest.approx(0.5 * plain.total_seconds)
    assert found.memory == plain.memory


def test_a_mode_that_past_runs_found_too_large_is_passed_over(small: Shape) -> None:
    factors = {"resident": Calibration(20.0, 1.0, 1)}
    choice = choose(small, TrainingSpec(), WORK, CPU, lambda mode: factors.get(mode, Calibration()))
    assert choice.chosen is not None and choice.chosen.mode == "streamed"


def test_four_bits_need_a_card_and_say_so(small: Shape) -> None:
    choice = choose(small, TrainingSpec(mode="nf4"), WORK, CPU)
    assert choice.chosen is None
    assert choice.problem == (
        "Training with the model packed to 4 bits needs an NVIDIA graphics card, and A processor has none. "
        "Let the mode be chosen (auto), and it fits with the whole model in memory."
    )


def test_streaming_is_refused_where_the_engine_has_no_passes_of_its_own() -> None:
    qwen3 = dataclasses.replace(LLAMA_8B, family="qwen3", head_norms=True)
    choice = choose(qwen3, TrainingSpec(mode="streamed"), WORK, CPU)
    assert "is known for llama, mistral, qwen2 models, and this is a qwen3." in choice.problem


def test_a_full_disk_is_a_reason(small: Shape) -> None:
    full = dataclasses.replace(CPU, free_disk_bytes=GB // 100)
    choice = choose(small, TrainingSpec(mode="resident"), WORK, full)
    assert "to the disk, and 0.0 GB can be used." in choice.problem


@pytest.mark.parametrize(
    ("spec", "words", "change"),
    [
        (
            TrainingSpec(batch_tokens=4096, batch_size=16),
            "Compute fewer tokens at once",
            {"batch_tokens": 1024},
        ),
        (TrainingSpec(rank=64), "Choose a lower rank (16)", {"rank": 16}),
        (TrainingSpec(mode="resident"), "Let the mode be chosen (auto)", {"mode": "auto"}),
    ],
)
def test_what_it_says_to_change_makes_the_run_fit(
    spec: TrainingSpec, words: str, change: dict[str, Any]
) -> None:
    refused = choose(LLAMA_70B, spec, WORK, CARDS["24"])
    assert refused.chosen is None
    assert words in refused.problem
    assert choose(LLAMA_70B, dataclasses.replace(spec, **change), WORK, CARDS["24"]).chosen is not None


def test_where_nothing_helps_it_says_how_much_memory_would() -> None:
    tiny = dataclasses.replace(CARDS["24"], memory_bytes=4 * GB)
    choice = choose(LLAMA_70B, TrainingSpec(), WORK, tiny)
    assert choice.chosen is None
    assert "Choose a smaller base model, or a device with at least 22." in choice.problem


def test_the_base_of_this_installation_fits_a_small_machine(small: Shape) -> None:
    modest = dataclasses.replace(CPU, memory_bytes=4 * GB, host_memory_bytes=4 * GB)
    chosen = choose(small, TrainingSpec(), WORK, modest).chosen
    assert chosen is not None and chosen.mode == "resident"
    assert chosen.ratio == pytest.approx(4_884_480 / (134_515_008 + 4_884_480))
