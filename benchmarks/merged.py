"""A base with an adapter merged into it: what serving one firm alone would be."""

from __future__ import annotations

import shutil
from pathlib import Path


def merge(base: Path, adapter: Path, folder: Path) -> Path:
    """Write `base` with the adapter's update added to its weights into `folder`; returns it."""
    from safetensors.torch import load_file, save_file

    from workers.serving.about_base import AboutBase
    from workers.serving.adapter_file import read_adapter
    from workers.serving.config import LlamaConfig

    shutil.copytree(base, folder)
    weights = load_file(base / "model.safetensors")
    file = read_adapter(adapter, LlamaConfig.read(base), AboutBase.read(base))
    for layer, modules in enumerate(file.weights.layers):
        for module, (a, b) in modules.items():
            weights[f"model.layers.{layer}.{module}.weight"] += file.weights.scaling * b @ a
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder
