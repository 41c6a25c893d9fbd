"""An adapter that changes nothing, through which vLLM is asked for the base.

vLLM gives a row without an adapter the index -1. Its CPU kernels read that as the last slot, so such a row
comes out as the adapter in that slot would have it. Keeping the last slot free is not enough: an adapter that
was unloaded keeps its slot inside vLLM until another needs it, so after enough loads every slot is taken. A
row with an adapter whose B is zero has a slot of its own, and its answer is the base's to the last bit:
W x + s B (A x) is W x + 0.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from django.conf import settings

from webapp.core.errors import Unavailable

EMPTY = "lo-base"
RANK = 8
CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_MODULE = "base_model.model.model.layers.0.self_attn.q_proj"
# Decoders whose first projection is called as above and as wide as their heads.
_KNOWN = frozenset(
    {"llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "olmo2", "granite"}
)


def files() -> tuple[Path, str]:
    """The folder of the empty adapter for the served base, written once, and the SHA-256 of its weights.

    Raises Unavailable for a base of a kind that it is not known how to make one for.
    """
    config = _config(Path(settings.BASE_MODEL_DIR))
    if config.get("model_type") not in _KNOWN:
        raise Unavailable("The base model alone cannot be asked of this engine; ask one of your adapters.")
    hidden = int(config["hidden_size"])
    head = int(config.get("head_dim") or hidden // int(config["num_attention_heads"]))
    weights = _weights(hidden, head * int(config["num_attention_heads"]))
    digest = hashlib.sha256(weights).hexdigest()
    folder = Path(settings.ADAPTERS_DIR) / f"{EMPTY}-{digest[:16]}"
    if not (folder / WEIGHTS).exists():
        folder.mkdir(parents=True, exist_ok=True)
        about = {
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "r": RANK,
            "lora_alpha": RANK,
            "target_modules": ["q_proj"],
            "bias": "none",
            "base_model_name_or_path": settings.BASE_MODEL_NAME,
        }
        _write(folder / CONFIG, json.dumps(about, indent=2).encode())
        _write(folder / WEIGHTS, weights)
    return folder, digest


def _config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        raise Unavailable(
            "The base model is not prepared yet; ask your operator to run the set-up."
        ) from None
    return dict(config.get("text_config") or config)


def _weights(hidden: int, wide: int) -> bytes:
    """A safetensors file with A `[RANK, hidden]` and B `[wide, RANK]` of zeros, in fp32 (8 bytes of length, a
    JSON header, then the numbers)."""
    sizes = {f"{_MODULE}.lora_A.weight": (RANK, hidden), f"{_MODULE}.lora_B.weight": (wide, RANK)}
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, (rows, columns) in sizes.items():
        begin, end = end, end + 4 * rows * columns
        header[name] = {"dtype": "F32", "shape": [rows, columns], "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + bytes(end)


def _write(path: Path, data: bytes) -> None:
    """The whole file or none, for whoever writes the same bytes at the same time too."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), 0o644)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(name, path)
