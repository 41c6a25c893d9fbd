"""A tiny random Llama with the real tokenizer: every path of the product in milliseconds a token.

`python -m tests.tiny_model --out <folder> --tokenizer-from <prepared base>` writes one from a shell.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

HIDDEN, HEADS, KV_HEADS, HEAD_DIM, INTERMEDIATE = 64, 4, 2, 16, 128
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json")

# Initial weights of common size (0.02) would let no adapter raise a logit by much, nor two prompts differ.
EMBEDDING_SCALE = 0.25


def make_tiny_model(
    folder: Path,
    tokenizer_from: Path,
    seed: int = 0,
    layers: int = 2,
    scale: int = 1,
    head_dim: int = HEAD_DIM,
) -> Path:
    """Write a random Llama (grouped queries, tied embeddings) as a prepared base; returns `folder`.

    The same seed gives the same bytes. `scale` multiplies every width; vLLM wants a `head_dim` of 32 or more.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in TOKENIZER_FILES:
        shutil.copyfile(tokenizer_from / name, folder / name)
    like: dict[str, Any] = json.loads((tokenizer_from / "config.json").read_text())
    sizes = {
        "hidden_size": HIDDEN * scale,
        "num_hidden_layers": layers,
        "num_attention_heads": HEADS * scale,
        "num_key_value_heads": KV_HEADS * scale,
        "head_dim": head_dim,
        "intermediate_size": INTERMEDIATE * scale,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": True,
        "_model_name_or_path": "tiny-llama",
    }
    _write_json(folder / "config.json", like | sizes)
    weights = folder / "model.safetensors"
    values = _random_weights(like["vocab_size"], layers, seed, scale, head_dim)
    save_file(values, weights, metadata={"format": "pt"})
    about = {
        "name": "tiny-llama",
        "source": f"random numbers of seed {seed}",
        "licence": "none",
        "revision": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "chat_template_sha256": hashlib.sha256((folder / "chat_template.jinja").read_bytes()).hexdigest(),
    }
    _write_json(folder / "housestyle.json", about)
    return folder


def _random_weights(
    vocabulary: int, layers: int, seed: int, scale: int, head_dim: int
) -> dict[str, np.ndarray[Any, Any]]:
    random = np.random.default_rng(seed)

    def matrix(rows: int, columns: int, scale: float | None = None) -> np.ndarray[Any, Any]:
        values = random.standard_normal((rows, columns), dtype=np.float32)
        return values * np.float32(columns**-0.5 if scale is None else scale)

    hidden, wide = HIDDEN * scale, INTERMEDIATE * scale
    queries, keys = HEADS * head_dim * scale, KV_HEADS * head_dim * scale
    weights = {"model.embed_tokens.weight": matrix(vocabulary, hidden, EMBEDDING_SCALE)}
    for index in range(layers):
        layer = {
            "self_attn.q_proj": matrix(queries, hidden),
            "self_attn.k_proj": matrix(keys, hidden),
            "self_attn.v_proj": matrix(keys, hidden),
            "self_attn.o_proj": matrix(hidden, queries),
            "mlp.gate_proj": matrix(wide, hidden),
            "mlp.up_proj": matrix(wide, hidden),
            "mlp.down_proj": matrix(hidden, wide),
            "input_layernorm": _near_one(random, hidden),
            "post_attention_layernorm": _near_one(random, hidden),
        }
        weights |= {f"model.layers.{index}.{name}.weight": values for name, values in layer.items()}
    return weights | {"model.norm.weight": _near_one(random, hidden)}


def _near_one(random: np.random.Generator, count: int) -> np.ndarray[Any, Any]:
    return np.float32(1) + random.standard_normal(count, dtype=np.float32) * np.float32(0.1)


def _write_json(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.tiny_model", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tokenizer-from", type=Path, required=True, help="a prepared base model's folder")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    make_tiny_model(options.out, options.tokenizer_from, options.seed)


if __name__ == "__main__":
    main()
