"""Adapters written number by number, without PEFT: in a millisecond, with numbers that can be told apart."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from tests.serving.engines import ALL_LINEAR
from workers.serving.config import LlamaConfig

CONFIG, WEIGHTS, ABOUT = "adapter_config.json", "adapter_model.safetensors", "housestyle.json"


def write_adapter(
    folder: Path,
    config: LlamaConfig,
    *,
    rank: int = 4,
    targets: Sequence[str] = ALL_LINEAR,
    mark: float | None = None,
    size: float = 0.2,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    **settings: Any,
) -> Path:
    """An adapter of random numbers, or of `mark` throughout, with scaling 1. `size`: of B's numbers."""
    random = torch.Generator().manual_seed(seed)

    def matrix(rows: int, columns: int, size: float) -> torch.Tensor:
        if mark is not None:
            return torch.full((rows, columns), mark, dtype=dtype)
        return (torch.randn(rows, columns, generator=random) * size).to(dtype)

    tensors = {}
    for layer in range(config.layers):
        for module, (rows, columns) in config.linear_shapes().items():
            if module.partition(".")[2] in targets:
                name = f"base_model.model.model.layers.{layer}.{module}"
                tensors[f"{name}.lora_A.weight"] = matrix(rank, columns, columns**-0.5)
                tensors[f"{name}.lora_B.weight"] = matrix(rows, rank, size)
    values = {"peft_type": "LORA", "r": rank, "lora_alpha": rank, "target_modules": list(targets), **settings}
    folder.mkdir(parents=True)
    (folder / CONFIG).write_text(json.dumps(values))
    save_file(tensors, folder / WEIGHTS)
    return folder
