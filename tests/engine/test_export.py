"""Adapters on disk, as PEFT writes and reads them, and as the serving engine reads them."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from tests.engine.data import citation_lines
from tests.engine.learners import fill
from tests.engine.reference import a_spec, load_adapter
from workers.engine.base_model import BaseModel
from workers.engine.batches import Batch
from workers.engine.examples import encode
from workers.engine.export import ABOUT, CONFIG, WEIGHTS, export
from workers.engine.fast import FastLearner
from workers.engine.files import save_tensors, sha256_of
from workers.serving.about_base import AboutBase
from workers.serving.adapter_file import read_adapter
from workers.serving.config import LlamaConfig

# Everything that a spec says about an adapter's shape.
SPECS = [
    {"alpha": 12.5},
    {"rslora": True, "dropout": 0.25},
    {"layers": 1, "rslora": True, "rank": 8},
    {"layers": 1, "target": "attention"},
    {"layers": 2},  # all there are
]
specs = pytest.mark.parametrize("settings", SPECS, ids=str)


def learner_of(base: BaseModel, **settings: Any) -> FastLearner:
    learner = FastLearner(base, a_spec(**settings))
    fill(learner)
    return learner


@specs
def test_it_writes_the_bytes_and_settings_that_peft_writes(
    tiny: BaseModel, tiny_folder: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    learner = learner_of(tiny, **settings)
    written = export(learner, tiny, learner.spec, tmp_path / "ours")
    save_with_peft(learner, tiny_folder, tmp_path / "peft")

    ours, theirs = tmp_path / "ours" / WEIGHTS, tmp_path / "peft" / WEIGHTS
    assert written.sha256 == sha256_of(ours) == sha256_of(theirs)
    assert written.bytes == ours.stat().st_size
    found, expected = (json.loads((tmp_path / name / CONFIG).read_text()) for name in ("ours", "peft"))
    expected["target_modules"].sort()
    expected["base_model_name_or_path"] = "tiny-llama"
    assert found == expected
    assert {path.name for path in ours.parent.iterdir()} == {CONFIG, WEIGHTS, ABOUT}


def test_it_says_which_base_it_belongs_to(tiny: BaseModel, tiny_folder: Path, tmp_path: Path) -> None:
    """By its weights and its chat template, of which the name says nothing."""
    learner = learner_of(tiny)
    export(learner, tiny, learner.spec, tmp_path / "adapter")
    said = json.loads((tmp_path / "adapter" / ABOUT).read_text())
    base = json.loads((tiny_folder / ABOUT).read_text())
    assert said == {
        "base_model": base["name"],
        "base_revision": sha256_of(tiny_folder / "model.safetensors"),
        "chat_template_sha256": sha256_of(tiny_folder / "chat_template.jinja"),
    }


def save_with_peft(learner: FastLearner, base: Path, folder: Path) -> None:
    """The same adapter, given to PEFT and written by it."""
    spec = learner.spec
    top = spec.layers == 1  # of the two that the tiny model has
    config = LoraConfig(
        r=spec.rank,
        lora_alpha=spec.alpha,  # type: ignore[arg-type]
        lora_dropout=spec.dropout,
        use_rslora=spec.rslora,
        target_modules=list(spec.target_modules),
        layers_to_transform=[1] if top else None,
        layers_pattern=["layers"] if top else None,
        task_type="CAUSAL_LM",
    )
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), config)
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name, tensor in learner.tensors().items():
            parameters[f"base_model.model.model.{name}.default.weight"].copy_(tensor)
    model.save_pretrained(str(folder))


@specs
def test_peft_loads_it_and_gives_our_logits(
    tiny: BaseModel, tiny_folder: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    learner = learner_of(tiny, **settings)
    export(learner, tiny, learner.spec, tmp_path / "adapter")
    model = load_adapter(tiny_folder, tmp_path / "adapter")
    for example in encode(tiny, citation_lines(4), 1024).train:
        with torch.no_grad():
            learner.layers.refresh()
            hidden = learner._hidden_states([example], Batch.of([example]), None)
            theirs = model(input_ids=torch.tensor([example.tokens])).logits[0, example.prompt_length - 1 : -1]
        torch.testing.assert_close(hidden @ tiny.head.t(), theirs, rtol=0, atol=1e-4)


@specs
def test_the_serving_engine_reads_it(
    tiny: BaseModel, tiny_folder: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    learner = learner_of(tiny, **settings)
    export(learner, tiny, learner.spec, tmp_path / "adapter")
    read = read_adapter(
        tmp_path / "adapter", LlamaConfig.read(tiny_folder), AboutBase.read(tiny_folder)
    ).weights
    assert read.scaling == pytest.approx(learner.spec.scaling)
    found = {
        f"layers.{index}.{module}.lora_{half}": tensor
        for index, layer in enumerate(read.layers)
        for module, pair in layer.items()
        for half, tensor in zip("AB", pair, strict=True)
    }
    assert found.keys() == learner.tensors().keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in learner.tensors().items())


def test_no_path_of_this_machine_is_written(tiny: BaseModel, tiny_folder: Path, tmp_path: Path) -> None:
    learner = learner_of(tiny)
    export(learner, tiny, learner.spec, tmp_path / "adapter")
    for path in (tmp_path / "adapter").iterdir():
        assert str(tiny_folder.parent).encode() not in path.read_bytes()
        assert str(tmp_path).encode() not in path.read_bytes()


def test_a_fresh_adapter_begins_as_peft_begins(tiny: BaseModel, tmp_path: Path) -> None:
    spec = a_spec(rank=64)
    export(FastLearner(tiny, spec), tiny, spec, tmp_path / "adapter")
    for name, tensor in load_file(tmp_path / "adapter" / WEIGHTS).items():
        if "lora_B" in name:
            assert not tensor.any()
        else:  # Kaiming-uniform with a = √5: U(±1/√in)
            bound = tensor.shape[1] ** -0.5
            assert tensor.abs().max() <= bound
            assert tensor.std().item() == pytest.approx(bound / 3**0.5, rel=0.05)


def test_what_the_system_said_is_not_hidden(tmp_path: Path) -> None:
    """Whoever catches it must be able to tell a full disk (tests/crash) from a fault."""
    with pytest.raises(OSError, match="No such file") as refused:
        save_tensors({"a": torch.zeros(1)}, tmp_path / "nowhere" / "file")
    assert refused.value.errno == errno.ENOENT
