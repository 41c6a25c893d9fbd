"""Adapters as PEFT writes them: `adapter_config.json` and `adapter_model.safetensors`.

Beside them stands `housestyle.json`: which base they belong to, which PEFT has no words for.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from webapp.training.spec import TrainingSpec
from workers.engine.files import save_tensors, sha256_of, whole_folder
from workers.engine.learner import Base, Learner

CONFIG, WEIGHTS, ABOUT = "adapter_config.json", "adapter_model.safetensors", "housestyle.json"
LLAMA_PREFIX, LLAMA_LAYERS = "model.", "layers"


@dataclass(frozen=True)
class Exported:
    sha256: str  # of the weights file, in hexadecimal
    bytes: int  # of the weights file


@runtime_checkable
class OwnNames(Protocol):
    """A learner of a model whose layers are not called as a Llama's are."""

    @property
    def prefix(self) -> str:
        """What stands before the names of `tensors()` in the model: `model.` in a Llama."""

    @property
    def layers_pattern(self) -> str:
        """The name of the stack of decoder layers: `layers` in a Llama."""

    @property
    def target_modules(self) -> list[str]:
        """Endings of names, by which PEFT finds what learns and nothing else."""


def export(learner: Learner, base: Base, spec: TrainingSpec, folder: Path) -> Exported:
    """Write the adapter to `folder`, which appears whole or not at all. Raises FileExistsError, OSError."""
    from peft import LoraConfig  # here, since it takes seconds and a child should start at once

    prefix, pattern, targets = LLAMA_PREFIX, LLAMA_LAYERS, list(spec.target_modules)
    if isinstance(learner, OwnNames):
        prefix, pattern, targets = learner.prefix, learner.layers_pattern, learner.target_modules
    tensors = {
        f"base_model.model.{prefix}{name}.weight": tensor.cpu().contiguous()
        for name, tensor in learner.tensors().items()
    }
    layers = sorted({int(name.removeprefix(f"{pattern}.").split(".")[0]) for name in learner.tensors()})
    only_the_top = layers[0] > 0  # PEFT wants the layers listed, and for all of them no list
    settings = LoraConfig(
        r=spec.rank,
        lora_alpha=int(spec.alpha) if spec.alpha.is_integer() else spec.alpha,  # type: ignore[arg-type]
        lora_dropout=spec.dropout,
        use_rslora=spec.rslora,
        target_modules=targets,
        layers_to_transform=layers if only_the_top else None,
        layers_pattern=[pattern] if only_the_top else None,
        task_type="CAUSAL_LM",
        base_model_name_or_path=base.name,  # a name: the folder it lies in is nobody's business
        inference_mode=True,
    )
    config: dict[str, Any] = settings.to_dict()  # type: ignore[no-untyped-call]
    config["target_modules"] = sorted(config["target_modules"])  # a set, which would change place run by run
    with whole_folder(folder) as beside:
        (beside / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True), "utf-8")
        (beside / ABOUT).write_text(json.dumps(_about(base), indent=2) + "\n", "utf-8")
        # save_file hides a full disk in an error of its own
        save_tensors(tensors, beside / WEIGHTS)
        return Exported(sha256_of(beside / WEIGHTS), (beside / WEIGHTS).stat().st_size)


def _about(base: Base) -> dict[str, str | None]:
    """What the serving engine compares with its own base before it loads the adapter."""
    template = base.tokenizer.chat_template
    return {
        "base_model": base.name,
        "base_revision": base.revision,
        "chat_template_sha256": hashlib.sha256(template.encode()).hexdigest()
        if isinstance(template, str)
        else None,
    }
