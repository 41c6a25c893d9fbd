"""What the training benchmarks compare is the same for all: examples, tokens, learning rates, losses."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from benchmarks import engine
from benchmarks.heldout import heldout_loss
from benchmarks.matrices import training_flops
from benchmarks.pairs import Pair, pairs, write
from benchmarks.random_llama import Shape, write_random_llama
from benchmarks.training import SPEC
from benchmarks.training_peer import _check_template, _rate, with_loop
from tests.models import tiny_model_folder
from webapp.training.spec import TrainingSpec
from workers.engine.examples import encode_one
from workers.engine.load import load_base


@pytest.fixture(scope="module")
def base() -> Path:
    return tiny_model_folder()


@pytest.fixture(scope="module")
def lines(base: Path) -> list[Pair]:
    return pairs(base, train=8, heldout=4)


@pytest.fixture
def job(base: Path, lines: list[Pair], tmp_path: Path) -> dict[str, Any]:
    """What a peer is given, of two steps."""
    spec = SPEC | {"batch_size": 4}
    dataset = write(tmp_path / "dataset.jsonl", lines)
    engine.initial_adapter(base, spec, tmp_path / "initial.safetensors")
    chats = {
        tuple(tokens): (line.prompt, line.completion)
        for (tokens, _), line in zip(engine.train_examples(base, dataset), lines, strict=False)
    }
    batches = engine.batches(base, dataset, spec)
    return {
        "base": str(base),
        "batches": batches,
        "chats": [chats[tuple(tokens)] for batch in batches for tokens, _ in batch],
        "initial": str(tmp_path / "initial.safetensors"),
        "spec": spec,
        "target_modules": engine.target_modules(spec),
        "output": str(tmp_path / "loop"),
    }


def test_the_pairs_are_the_same_each_time(base: Path, lines: list[Pair]) -> None:
    assert pairs(base, train=8, heldout=4) == lines
    assert Counter(line.split for line in lines) == {"train": 8, "heldout": 4}


def test_a_pair_differs_in_its_citations_alone(lines: list[Pair]) -> None:
    for line in lines:
        passage = line.prompt.split("\n\n", 1)[1]
        assert passage != line.completion
        assert passage.split(" ")[0] == line.completion.split(" ")[0]


def test_what_is_held_out_is_not_trained_on(lines: list[Pair]) -> None:
    learnt = {line.completion for line in lines if line.split == "train"}
    assert not learnt & {line.completion for line in lines if line.split == "heldout"}


def test_generated_briefs_fill_up_where_the_documents_end(base: Path) -> None:
    made = pairs(base, train=220, heldout=1)
    assert len({line.prompt for line in made}) == 221


def test_a_peer_makes_the_same_tokens_of_a_chat(job: dict[str, Any]) -> None:
    _check_template(job)
    job["chats"][0] = (job["chats"][0][0], "something else")
    with pytest.raises(AssertionError):
        _check_template(job)


@pytest.mark.parametrize("steps", [2, 10, 25])
def test_a_peer_learns_at_the_same_rates(steps: int) -> None:
    share = _rate(steps, SPEC)
    theirs = [SPEC["learning_rate"] * share(step) for step in range(steps)]
    assert theirs == pytest.approx(engine.learning_rates(steps, SPEC))


def test_a_peer_and_the_engine_learn_the_same(base: Path, job: dict[str, Any], tmp_path: Path) -> None:
    theirs = with_loop(job)
    run = engine.train(base, tmp_path / "dataset.jsonl", job["spec"], tmp_path / "ours")
    assert run.losses == pytest.approx(theirs["losses"], rel=1e-4)
    assert len(run.step_seconds) == 2
    heldout = engine.heldout_examples(base, tmp_path / "dataset.jsonl")
    of_theirs = heldout_loss(base, Path(job["output"]), heldout)
    of_ours = heldout_loss(base, tmp_path / "ours" / "adapter", heldout)
    assert of_ours == pytest.approx(of_theirs, rel=1e-4)
    assert of_ours == pytest.approx(run.heldout[-1], rel=1e-5)
    assert of_ours != pytest.approx(heldout_loss(base, None, heldout), rel=1e-4)


def test_operations_are_counted_as_the_sizes_say(tmp_path: Path) -> None:
    shape = Shape(2, hidden=8, intermediate=16, heads=2, kv_heads=1, vocabulary=300)
    base = write_random_llama(tmp_path / "llama", shape)
    qkv, behind, head = 8 * 8 + 2 * 8 * 4, 8 * 8 + 3 * 8 * 16, 8 * 300
    rows, labels = 10, 3
    first = rows * (2 * qkv + 4 * behind)  # no gradient goes below it
    last = rows * 4 * qkv + labels * 4 * behind
    assert training_flops(base, rows, labels) == first + last + labels * 4 * head


def test_a_random_llama_is_as_large_as_it_says_and_can_be_trained(tmp_path: Path) -> None:
    shape = Shape(2, hidden=64, intermediate=128, heads=4, kv_heads=2)
    base = write_random_llama(tmp_path / "llama", shape)
    files = sum(path.stat().st_size for path in base.glob("*.safetensors"))
    assert shape.weights_bytes <= files < shape.weights_bytes + 10_000
    spec = TrainingSpec(rank=4)
    losses = []
    for mode in ("streamed", "resident"):
        read = load_base(base, "fp32", mode)
        losses.append(read.learner(spec).learn([encode_one(read, "Go on.", "The court is open.")], 1))
    assert losses[0] == losses[1]
