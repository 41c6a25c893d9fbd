"""The same model through transformers and PEFT, to compare with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor
from transformers import AutoModelForCausalLM

from webapp.training.spec import TrainingSpec
from workers.engine.examples import Example
from workers.engine.fast import FastLearner


def peft_model_like(learner: FastLearner, folder: Path) -> Any:
    """A PEFT model on the base in `folder` with the parameters of `learner`."""
    spec, layers = learner.spec, len(learner.base.layers)
    config = LoraConfig(
        r=spec.rank,
        lora_alpha=spec.alpha,  # type: ignore[arg-type]
        use_rslora=spec.rslora,
        target_modules=list(spec.target_modules),
        layers_to_transform=list(range(spec.first_layer(layers), layers)) if spec.layers else None,
        task_type="CAUSAL_LM",
    )
    model = get_peft_model(_transformers_model(folder), config)
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name, tensor in learner.tensors().items():
            parameters[peft_name(name)].copy_(tensor)
    return model


def load_adapter(folder: Path, adapter: Path) -> Any:
    return PeftModel.from_pretrained(_transformers_model(folder), str(adapter))


def peft_name(name: str) -> str:
    return f"base_model.model.model.{name}.default.weight"


def reference_loss(model: Any, examples: Sequence[Example]) -> Tensor:
    """The mean over all labels of the examples, one after the other, so that nothing is padded."""
    losses = []
    for example in examples:
        tokens = torch.tensor([example.tokens])
        labels = tokens.clone()
        labels[:, : example.prompt_length] = -100
        losses.append(model(input_ids=tokens, labels=labels).loss * example.labels)
    return torch.stack(losses).sum() / sum(example.labels for example in examples)


def randomise(learner: FastLearner, seed: int = 1) -> None:
    """Give B values too: a fresh adapter changes nothing and teaches A nothing."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in learner.parameters():
            parameter.normal_(0, 0.05, generator=generator)


def gradients_of(learner: FastLearner) -> dict[str, Tensor]:
    """Every gradient by the name of its parameter."""
    named: dict[str, Tensor] = {}
    for index, layer in enumerate(learner.adapter.layers, learner.adapter.first):
        for linear in layer.values():
            for part in linear.parts:
                assert linear.a.grad is not None
                assert part.b.grad is not None
                name = f"layers.{index}.{part.name}"
                named[f"{name}.lora_A"] = linear.a.grad[part.ranks]
                named[f"{name}.lora_B"] = part.b.grad
    return named


def a_spec(**settings: Any) -> TrainingSpec:
    return TrainingSpec.parse({"rank": 4, "alpha": 8, **settings})


def _transformers_model(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
