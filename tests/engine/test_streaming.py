"""Layers that come from disk one by one: the same bits in a fraction of the memory."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine.data import citation_lines
from tests.engine.reference import a_spec, gradients_of, randomise
from tests.models import base_model_folder
from tests.tiny_model import make_tiny_model
from workers.engine.base_model import BaseModel
from workers.engine.examples import encode
from workers.engine.fast import FastLearner
from workers.engine.weights import StreamedLayers, WeightFiles

LAYERS = 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("deep"), base_model_folder(), layers=LAYERS)


@pytest.mark.parametrize(
    "settings",
    [{}, {"layers": 2}, {"layers": 1}, {"target": "attention"}, {"dropout": 0.1}, {"batch_tokens": 64}],
)
def test_losses_and_gradients_are_those_of_the_resident_base_bit_by_bit(
    folder: Path, settings: dict[str, Any]
) -> None:
    found = []
    for streamed in (False, True):
        base = BaseModel.load(folder, streamed=streamed)
        learner = FastLearner(base, a_spec(**settings))
        randomise(learner)
        examples = encode(base, citation_lines(5), 1024).train
        optimiser = torch.optim.SGD(learner.parameters(), lr=0.1)
        numbers: list[Any] = [learner.mode]
        for step in (1, 2):
            numbers += [learner.heldout_loss(examples, lambda: None), learner.learn(examples, step)]
            numbers.append({name: tensor.clone() for name, tensor in gradients_of(learner).items()})
            optimiser.step()
            optimiser.zero_grad()
        found.append(numbers)
    (resident, *expected), (streamed_mode, *actual) = found
    assert (resident, streamed_mode) == ("resident", "streamed")
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)


def test_each_layer_is_read_once_forward_and_once_backward(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []
    start = StreamedLayers._start

    def counted(layers: StreamedLayers, index: int) -> Any:
        started.append(index)
        return start(layers, index)

    base = BaseModel.load(folder, streamed=True)
    learner = FastLearner(base, a_spec())
    randomise(learner)
    examples = encode(base, citation_lines(3), 1024).train
    learner.learn(examples, 1)
    monkeypatch.setattr(StreamedLayers, "_start", counted)
    learner.learn(examples, 2)
    # The first layer was on its way since the step before; the last is not read again to turn around, and
    # the first one is fetched for the step to come.
    assert started == [1, 2, 3, 4, 3, 2, 1, 0, 0]
    started.clear()
    learner.heldout_loss(examples, lambda: None)
    assert started == [1, 2, 3, 4, 0]


def test_the_embedding_of_an_untied_base_is_read_row_by_row(folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    copy = shutil.copytree(folder, tmp_path / "untied")
    weights = load_file(copy / "model.safetensors")
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"].flip(0).contiguous()
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": False}))
    streamed, resident = BaseModel.load(copy, streamed=True), BaseModel.load(copy)
    assert streamed.embedding is None
    tokens = torch.tensor([7, 3, 7, 40_000])
    assert torch.equal(streamed.embed(tokens), resident.embed(tokens))


def test_weights_five_times_the_memory_train_within_it(tmp_path: Path) -> None:
    """A process of its own, so that its peak is its own: what training adds to it stays under a fifth of what
    the layers weigh."""
    folder = make_tiny_model(tmp_path / "large", base_model_folder(), layers=100, scale=4)
    weights = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    layers = weights - 49_152 * 64 * 4 * 4
    answer = subprocess.run(
        [sys.executable, "-c", GROWTH, str(folder)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    grown, count = json.loads(answer.stdout)
    assert count == 100
    assert grown * 5 < layers


GROWTH = """
import json, sys
from pathlib import Path
from tests.engine.data import citation_lines
from tests.engine.reference import a_spec
from workers.engine.base_model import BaseModel
from workers.engine.examples import encode
from workers.engine.memory import forget_peak, peak_bytes, used_bytes

base = BaseModel.load(Path(sys.argv[1]), streamed=True)
examples = encode(base, citation_lines(2), 1024).train
before = used_bytes()
forget_peak()
learner = base.learner(a_spec())
learner.learn(examples, 1)
print(json.dumps([peak_bytes() - before, len(base.layers)]))
"""


def test_a_file_is_mapped_only_while_it_is_read(folder: Path) -> None:
    files = WeightFiles(folder)
    files.tensor("model.norm.weight", torch.device("cpu"))
    assert str(folder) not in Path("/proc/self/maps").read_text()
