"""Adapters that answer with a mark of their own, whatever they are asked: none can be taken for another.

Computed, not trained. Of the last layer's feed-forward block two hidden units are changed, so that with
s = a·x for some direction a, one has silu(K s) K s and the other silu(-K s) (-K s): their sum is about
K² s², positive whatever the prompt. `down_proj` adds that much of the mark's embedding, which the tied head
turns into the mark.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

RANK = 8  # rows and columns that are not needed are zero
GAIN = 100.0
Matrix = np.ndarray[Any, np.dtype[np.float32]]


def marks(base: Path, count: int) -> list[tuple[int, str]]:
    """Distinct tokens that begin a word of five letters or more, with their text."""
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    found = []
    for token in range(5000, tokenizer.get_vocab_size(), 37):
        text = tokenizer.decode([token]).strip()
        begins = str(tokenizer.id_to_token(token)).startswith("Ġ")
        if begins and len(text) >= 5 and text.isascii() and text.isalpha():
            found.append((token, text))
        if len(found) == count:
            return found
    raise AssertionError("the vocabulary has too few words")


def make_marked(base: Path, folder: Path, token: int) -> Path:
    """An adapter of `base` (a Llama with tied embeddings) that answers with `token` again and again."""
    config = json.loads((base / "config.json").read_text())
    hidden, wide, layer = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"] - 1
    embedding = load_file(base / "model.safetensors")["model.embed_tokens.weight"][token]
    direction = np.random.default_rng(token).standard_normal(hidden).astype(np.float32)

    into = np.zeros((RANK, hidden), np.float32)
    into[0], into[1] = direction, -direction
    spread = np.zeros((wide, RANK), np.float32)
    spread[0, 0] = spread[1, 1] = GAIN
    gather = np.zeros((RANK, wide), np.float32)
    gather[0, 0] = gather[0, 1] = 1
    raised = np.zeros((hidden, RANK), np.float32)
    raised[:, 0] = GAIN * embedding

    halves: dict[str, tuple[Matrix, Matrix]] = {
        "gate_proj": (into, spread),
        "up_proj": (into, spread),
        "down_proj": (gather, raised),
    }
    tensors: dict[str, Matrix] = {}
    for module, (a, b) in halves.items():
        name = f"base_model.model.model.layers.{layer}.mlp.{module}"
        tensors |= {f"{name}.lora_A.weight": a, f"{name}.lora_B.weight": b}
    folder.mkdir(parents=True)
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    about = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": RANK,
        "lora_alpha": RANK,
        "target_modules": sorted(halves),
        "layers_to_transform": [layer],
        "layers_pattern": "layers",
        "bias": "none",
        "base_model_name_or_path": "tiny-llama",
    }
    (folder / "adapter_config.json").write_text(json.dumps(about))
    return folder
