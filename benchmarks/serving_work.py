"""What is asked of every server alike: the same prompts, lengths, adapters, arrivals for the same number."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from benchmarks.briefs import document_text

PROMPT_TOKENS, NEW_TOKENS = (100, 400), (64, 128)
RANK, SCALE = 16, 0.02
BASE = "base"


@dataclass(frozen=True)
class Ask:
    """One request: `adapter` None asks the base; `at` seconds after the start of an open-loop trace."""

    prompt: list[int]
    new_tokens: int
    adapter: int | None
    at: float = 0.0


def closed_loop(model: Path, *, requests: int, adapters: int, seed: int) -> list[Ask]:
    """Requests whose adapters go round; none for the base alone."""
    dice = random.Random(seed)
    return [
        Ask(
            _prompt(model, seed * 10_000 + at), dice.randint(*NEW_TOKENS), at % adapters if adapters else None
        )
        for at in range(requests)
    ]


def trace(model: Path, *, requests: int, adapters: int, rate: float, seed: int) -> list[Ask]:
    """An open-loop trace after S-LoRA (Sheng et al. 2023, section 7.1).

    Adapters by a power law with exponent 1, arrivals by a gamma process of `rate` requests a second and a
    coefficient of variation of 1.
    """
    dice = np.random.default_rng(seed)
    popularity = 1.0 / np.arange(1, adapters + 1)
    chosen = dice.choice(adapters, size=requests, p=popularity / popularity.sum())
    arrivals = dice.gamma(shape=1.0, scale=1.0 / rate, size=requests).cumsum()
    asks = closed_loop(model, requests=requests, adapters=1, seed=seed)
    return [
        Ask(ask.prompt, ask.new_tokens, int(adapter), float(at))
        for ask, adapter, at in zip(asks, chosen, arrivals, strict=True)
    ]


def write_adapters(base: Path, folder: Path, count: int, *, different: int = 32) -> list[Path]:
    """`count` adapters as PEFT writes them, all linear layers, rank 16.

    Beyond the first `different` ones their weights are hard links to those, so that a thousand need no 20 GB
    of disk; each is read and held by itself.
    """
    made: list[Path] = []
    for number in range(count):
        adapter = folder / f"adapter-{number}"
        adapter.mkdir(parents=True)
        if number < different:
            _write_adapter(base, adapter, number)
        else:
            first = made[number % different]
            for name in ("adapter_config.json", "adapter_model.safetensors"):
                (adapter / name).hardlink_to(first / name)
        made.append(adapter)
    return made


def _write_adapter(base: Path, folder: Path, seed: int) -> None:
    import json

    from workers.serving.config import LlamaConfig

    config = LlamaConfig.read(base)
    dice = np.random.default_rng(seed)
    tensors = {}
    for layer in range(config.layers):
        for module, (rows, columns) in config.linear_shapes().items():
            name = f"base_model.model.model.layers.{layer}.{module}"
            tensors[f"{name}.lora_A.weight"] = _random(dice, RANK, columns)
            tensors[f"{name}.lora_B.weight"] = _random(dice, rows, RANK)
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    about = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "SmolLM2-135M-Instruct",
        "r": RANK,
        "lora_alpha": 2 * RANK,
        "target_modules": sorted(module.split(".")[1] for module in config.linear_shapes()),
    }
    (folder / "adapter_config.json").write_text(json.dumps(about))


def _random(
    dice: np.random.Generator, rows: int, columns: int
) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return (dice.standard_normal((rows, columns)) * SCALE).astype(np.float32)


_encoded: dict[tuple[Path, int], Sequence[int]] = {}


def _prompt(model: Path, number: int) -> list[int]:
    """100 to 400 tokens of a brief that nobody wrote, no two alike."""
    from tokenizers import Tokenizer

    dice = random.Random(number)
    key = (model, number % 64)
    if key not in _encoded:
        tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
        _encoded[key] = tokenizer.encode(document_text(number % 64)).ids
    start = dice.randrange(len(_encoded[key]) - PROMPT_TOKENS[1])
    return list(_encoded[key][start : start + dice.randint(*PROMPT_TOKENS)])
