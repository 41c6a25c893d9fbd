"""The estimator's counts beside transformers' and PEFT's own, on their configuration classes."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM

from tests.models import base_model_folder
from webapp.training.estimate import FAMILIES, Shape, ShapeError
from webapp.training.estimate.known import MODELS
from webapp.training.spec import TARGETS, TrainingSpec

TINY = {
    "num_hidden_layers": 3,
    "hidden_size": 48,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "intermediate_size": 80,
    "vocab_size": 100,
}
VARIANTS: dict[str, dict[str, Any]] = {
    **{family: {"model_type": family} for family in FAMILIES},
    "llama-tied": {"model_type": "llama", "tie_word_embeddings": True},
    "llama-biases": {"model_type": "llama", "attention_bias": True, "mlp_bias": True},
    "qwen3-bias": {"model_type": "qwen3", "attention_bias": True, "tie_word_embeddings": True},
    "gemma-untied": {"model_type": "gemma", "tie_word_embeddings": False},
    "gemma2-bias": {"model_type": "gemma2", "attention_bias": True},
}

# As their config.json say it, with what they leave out left out.
REAL: dict[str, dict[str, Any]] = {
    "Mistral-7B-v0.1": {
        "model_type": "mistral",
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_attention_heads": 32,
        "num_hidden_layers": 32,
        "num_key_value_heads": 8,
        "tie_word_embeddings": False,
        "vocab_size": 32000,
    },
    "Qwen2-7B": {
        "model_type": "qwen2",
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_attention_heads": 28,
        "num_hidden_layers": 28,
        "num_key_value_heads": 4,
        "tie_word_embeddings": False,
        "vocab_size": 152064,
    },
    "Qwen3-8B": {
        "model_type": "qwen3",
        "attention_bias": False,
        "head_dim": 128,
        "hidden_size": 4096,
        "intermediate_size": 12288,
        "num_attention_heads": 32,
        "num_hidden_layers": 36,
        "num_key_value_heads": 8,
        "tie_word_embeddings": False,
        "vocab_size": 151936,
    },
    "Gemma-2-9B": {
        "model_type": "gemma2",
        "attention_bias": False,
        "head_dim": 256,
        "hidden_size": 3584,
        "intermediate_size": 14336,
        "num_attention_heads": 16,
        "num_hidden_layers": 42,
        "num_key_value_heads": 8,
        "vocab_size": 256000,
    },
    **{model.name: dict(model.config) for model in MODELS},
}
PUBLISHED = {
    "Llama-3.2-1B": 1_235_814_400,
    "Llama-3-8B": 8_030_261_248,
    "Llama-3-70B": 70_553_706_496,
    "Mistral-7B-v0.1": 7_241_732_096,
    "Qwen2-7B": 7_615_616_512,
    "Qwen3-8B": 8_190_735_360,
    "Gemma-2-9B": 9_241_705_984,
}


def on_meta(config: dict[str, Any]) -> Any:
    """transformers' model of a configuration, without memory for its weights."""
    auto: Any = AutoModelForCausalLM
    with torch.device("meta"):
        return auto.from_config(AutoConfig.for_model(**config))


def count(model: Any) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def learned(config: dict[str, Any], spec: TrainingSpec) -> int:
    """What PEFT trains."""
    model = on_meta(config)
    layers = len(model.model.layers)
    lora = LoraConfig(
        r=spec.rank,
        target_modules=list(spec.target_modules),
        layers_to_transform=list(range(spec.first_layer(layers), layers)),
        layers_pattern="layers",
        task_type="CAUSAL_LM",
    )
    with torch.device("meta"):
        peft = get_peft_model(model, lora)
    return sum(parameter.numel() for parameter in peft.parameters() if parameter.requires_grad)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_small_model_of_every_family_has_as_many_parameters_as_transformers_counts(variant: str) -> None:
    config = {**TINY, **VARIANTS[variant]}
    assert Shape.from_config(config).parameters == count(on_meta(config))


@pytest.mark.parametrize("layers", [0, 1, 2])
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("family", FAMILIES)
def test_an_adapter_has_as_many_parameters_as_peft_trains(family: str, target: str, layers: int) -> None:
    config = {**TINY, "model_type": family}
    spec = TrainingSpec(rank=4, target=target, layers=layers)
    assert Shape.from_config(config).trainable(spec) == learned(config, spec)


@pytest.mark.parametrize("name", REAL)
def test_a_real_model_has_as_many_parameters_as_transformers_counts(name: str) -> None:
    shape = Shape.from_config(REAL[name])
    assert shape.parameters == count(on_meta(REAL[name])) == PUBLISHED[name]


@pytest.mark.parametrize("name", REAL)
def test_a_real_models_adapter_has_as_many_parameters_as_peft_trains(name: str) -> None:
    spec = TrainingSpec(rank=16, layers=2)
    assert Shape.from_config(REAL[name]).trainable(spec) == learned(REAL[name], spec)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_a_config_leaves_out_is_what_transformers_assumes(family: str) -> None:
    left_out = {"num_key_value_heads", "head_dim"}
    config = {name: value for name, value in TINY.items() if name not in left_out}
    config |= {"model_type": family, "num_attention_heads": 32, "hidden_size": 32 * 8}  # type: ignore[dict-item]
    assert Shape.from_config(config).parameters == count(on_meta(config))


def test_the_base_of_this_installation_is_known() -> None:
    config = json.loads((base_model_folder() / "config.json").read_text())
    shape = Shape.from_config(config)
    assert shape.parameters == 134_515_008
    assert shape.trainable(TrainingSpec(rank=16)) == 4_884_480
    assert shape.stored == pytest.approx((base_model_folder() / "model.safetensors").stat().st_size, rel=1e-3)


def test_a_model_that_is_not_known_is_named() -> None:
    with pytest.raises(ShapeError, match="The cost of a “mamba” model is not known"):
        Shape.from_config({**TINY, "model_type": "mamba"})


def test_everything_wrong_with_a_config_is_told_at_once() -> None:
    config = {**TINY, "model_type": "llama", "hidden_size": "big", "dtype": "float8", "head_dim": 0}
    del config["vocab_size"]
    with pytest.raises(ShapeError) as wrong:
        Shape.from_config(config)
    for name in ("hidden_size", "vocab_size", "head_dim", "dtype"):
        assert name in str(wrong.value)
