"""Adapters as PEFT writes them: `adapter_config.json` and `adapter_model.safetensors`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peft import LoraConfig
from safetensors.torch import save_file

from workers.engine.adapter import Adapter
from workers.engine.files import sha256_of, whole_folder

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


@dataclass(frozen=True)
class Exported:
    sha256: str  # of the weights file, in hexadecimal
    bytes: int  # of the weights file


def export(adapter: Adapter, folder: Path) -> Exported:
    """Write `adapter` to `folder`, which appears whole or not at all. Raises FileExistsError."""
    spec = adapter.spec
    settings = LoraConfig(
        r=spec.rank,
        lora_alpha=int(spec.alpha) if spec.alpha.is_integer() else spec.alpha,  # type: ignore[arg-type]
        target_modules=list(spec.target_modules),
        task_type="CAUSAL_LM",
        base_model_name_or_path=adapter.base.name,  # a name: the folder it lies in is nobody's business
        inference_mode=True,
    )
    config: dict[str, Any] = settings.to_dict()  # type: ignore[no-untyped-call]
    config["target_modules"] = sorted(config["target_modules"])  # a set, which would change place run by run
    tensors = {
        f"base_model.model.model.{name}.weight": tensor.contiguous()
        for name, tensor in adapter.tensors().items()
    }
    with whole_folder(folder) as beside:
        (beside / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True), "utf-8")
        save_file(tensors, beside / WEIGHTS, metadata={"format": "pt"})
        return Exported(sha256_of(beside / WEIGHTS), (beside / WEIGHTS).stat().st_size)
