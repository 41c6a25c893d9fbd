"""Reading the base: what is taken, what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from tests.engine.data import citation_lines
from tests.engine.reference import a_spec, reference_loss
from workers.engine.base_model import BaseModel
from workers.engine.errors import EngineError
from workers.engine.examples import encode
from workers.engine.fast import FastLearner


@pytest.fixture
def copy(tiny_folder: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_folder, tmp_path / "a-model")


def change_config(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}


@pytest.mark.parametrize(
    "values",
    [
        {"rope_parameters": LLAMA3},
        {"rope_parameters": {"rope_type": "linear", "rope_theta": 10_000.0, "factor": 4.0}},
        {"rms_norm_eps": 0.1},
        {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 32},  # one key for all queries
        {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": None},
    ],
)
def test_llamas_of_other_shapes_give_the_losses_of_the_reference(copy: Path, values: dict[str, Any]) -> None:
    change_config(copy, **values)
    assert_losses_equal(copy)


def test_a_head_of_its_own_is_used(copy: Path) -> None:
    change_config(copy, tie_word_embeddings=False)
    weights = load_file(copy / "model.safetensors")
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"].flip(0).contiguous()
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    assert_losses_equal(copy)


def test_weights_in_bf16_are_read_as_what_they_are_worth(copy: Path) -> None:
    weights = load_file(copy / "model.safetensors")
    save_file(
        {name: tensor.bfloat16() for name, tensor in weights.items()},
        copy / "model.safetensors",
        metadata={"format": "pt"},
    )
    assert_losses_equal(copy)


def assert_losses_equal(folder: Path) -> None:
    base = BaseModel.load(folder)
    examples = encode(base, citation_lines(3), 1024).train
    reference = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        expected = reference_loss(reference, examples).item()
    assert FastLearner(base, a_spec()).heldout_loss(examples, lambda: None) == pytest.approx(
        expected, rel=1e-5
    )


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"model_type": "gemma2"}, "“gemma2”"),
        ({"hidden_act": "gelu"}, "SiLU"),
        ({"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}}, "“dynamic”"),
    ],
)
def test_it_refuses_other_architectures_in_a_sentence(copy: Path, values: dict[str, Any], words: str) -> None:
    change_config(copy, **values)
    with pytest.raises(EngineError, match=words) as refused:
        BaseModel.load(copy)
    assert "choose another base" in str(refused.value)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_it_refuses_a_damaged_base_in_a_sentence(copy: Path, name: str) -> None:
    (copy / name).write_bytes(b"{ not what it was")
    with pytest.raises(EngineError) as refused:
        BaseModel.load(copy)
    assert str(refused.value) == "The base model a-model can't be read: prepare it again."


def test_it_refuses_a_base_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="The base model nowhere can't be read"):
        BaseModel.load(tmp_path / "nowhere")


def test_it_notices_that_a_base_was_prepared_again(copy: Path) -> None:
    base = BaseModel.load(copy)
    assert base.is_of(copy)
    weights = load_file(copy / "model.safetensors")
    save_file(weights, copy / "again.safetensors", metadata={"format": "pt"})
    (copy / "again.safetensors").rename(copy / "model.safetensors")
    assert not base.is_of(copy)
