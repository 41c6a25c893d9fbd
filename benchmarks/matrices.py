"""What the machine can do with matrices, and how much of it a training step has to do."""

from __future__ import annotations

import json
import time
from pathlib import Path

import torch

SIZE = 2048
SECONDS = 3.0


def peak_flops() -> float:
    """Operations a second of the best of many products of two large fp32 matrices, on all threads."""
    a, b = torch.randn(SIZE, SIZE), torch.randn(SIZE, SIZE)
    out = torch.mm(a, b)
    best, until = 0.0, time.perf_counter() + SECONDS
    while time.perf_counter() < until:
        began = time.perf_counter()
        torch.mm(a, b, out=out)
        best = max(best, 2 * SIZE**3 / (time.perf_counter() - began))
    return best


def training_flops(base: Path, rows: int, labels: int) -> int:
    """Operations of the products with frozen weights in training steps of `rows` rows and `labels` labels.

    Two a weight and row forward (multiply, add) and two backward (the gradient to what the layer read; none
    to the weight). Below the first layer's queries, keys and values no gradient is wanted, and behind the
    last attention only rows with labels go on. What LoRA and attention itself multiply is left out, so that
    the share of the peak comes out low rather than high.
    """
    config: dict[str, int] = json.loads((base / "config.json").read_text())
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    head_dim = config.get("head_dim") or hidden // heads
    qkv = hidden * (heads + 2 * config["num_key_value_heads"]) * head_dim
    behind = hidden * heads * head_dim + 3 * hidden * config["intermediate_size"]
    layers, head = config["num_hidden_layers"], hidden * config["vocab_size"]
    whole_rows = (4 * layers - 2) * qkv + 4 * (layers - 1) * behind
    return rows * whole_rows + labels * 4 * (behind + head)
