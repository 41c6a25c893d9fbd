"""Tiny random models of several architectures with the tiny model's tokenizer, as prepared bases."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
import transformers

from tests.tiny_model import TOKENIZER_FILES

SIZES = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "initializer_range": 0.2,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
# By what makes each unlike a Llama.
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "gemma2": ("Gemma2Config", {"head_dim": 16, "final_logit_softcapping": 5.0, "sliding_window": 16}),
    "gemma3": ("Gemma3TextConfig", {"head_dim": 16, "sliding_window": 16}),  # normed queries and keys
    "qwen3": ("Qwen3Config", {"head_dim": 32}),
    "qwen2": ("Qwen2Config", {}),  # biases
    "mistral": ("MistralConfig", {"sliding_window": None}),
    "phi3": ("Phi3Config", {}),  # one matrix for queries, keys and values
    "cohere": ("CohereConfig", {"logit_scale": 0.25}),  # parallel blocks, scaled logits
    "gpt_neox": ("GPTNeoXConfig", {}),  # other names, biases, part of a head rotated
    "gpt2": ("GPT2Config", {"n_positions": 512, "n_inner": 96}),  # transposed weights, learned positions
}


def make_family(folder: Path, family: str, tokenizer_from: Path, seed: int = 0) -> Path:
    """Write a random model of `family` as a base; returns `folder`. The same seed gives the same weights."""
    name, own = FAMILIES[family]
    like = json.loads((tokenizer_from / "config.json").read_text())
    config = getattr(transformers, name)(**{**SIZES, "vocab_size": like["vocab_size"], **own})
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = transformers.AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
            config, dtype=torch.float32
        )
        for parameter in model.parameters():  # biases and norms begin as 0 and 1, which hides mistakes
            if parameter.ndim == 1:
                parameter.data += 0.1 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    for file in TOKENIZER_FILES:
        shutil.copyfile(tokenizer_from / file, folder / file)
    return folder
