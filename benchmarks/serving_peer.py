"""transformers and PEFT answering the same requests, in a process of their own; prints one JSON object.

`python -m benchmarks.serving_peer WAY MODEL REQUESTS.json ADAPTER...`, where WAY is `single` (one request
after the other, one adapter on), `base` (one batch of the base), `mixed` (one batch, `adapter_names`) or
`switching` (adapters one after the other, each with its own requests as a batch). fp32. Tokens a second count
generated tokens over the whole of it, as for the servers.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

Requests = list[dict[str, Any]]  # prompt, new_tokens, adapter


def main(way: str, model: Path, requests: Requests, adapters: list[str]) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(2)
    base: Any = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    base.generation_config.eos_token_id = None
    base.generation_config.pad_token_id = 0
    if way != "base":
        from peft import PeftModel

        base = PeftModel.from_pretrained(base, adapters[0], adapter_name="0")
        for number, folder in enumerate(adapters[1:], 1):
            base.load_adapter(folder, adapter_name=str(number))
        base.eval()
    with torch.inference_mode():
        _generate(base, requests[:1], 2, {})
        began = time.perf_counter()
        tokens = WAYS[way](base, requests)
        seconds = time.perf_counter() - began
    json.dump({"tokens_per_s": tokens / seconds, "seconds": seconds, "tokens": tokens}, sys.stdout)


def _single(model: Any, requests: Requests) -> int:
    return sum(_generate(model, [ask], ask["new_tokens"], {}) for ask in requests)


def _batch(model: Any, requests: Requests) -> int:
    """As long as the longest; what the others wanted is counted, no more."""
    _generate(model, requests, max(ask["new_tokens"] for ask in requests), {})
    return sum(ask["new_tokens"] for ask in requests)


def _mixed(model: Any, requests: Requests) -> int:
    names = [str(ask["adapter"]) for ask in requests]
    _generate(model, requests, max(ask["new_tokens"] for ask in requests), {"adapter_names": names})
    return sum(ask["new_tokens"] for ask in requests)


def _switching(model: Any, requests: Requests) -> int:
    tokens = 0
    for adapter in sorted({ask["adapter"] for ask in requests}):
        model.set_adapter(str(adapter))
        tokens += _batch(model, [ask for ask in requests if ask["adapter"] == adapter])
    return tokens


def _generate(model: Any, requests: Requests, new_tokens: int, settings: dict[str, Any]) -> int:
    import torch

    longest = max(len(ask["prompt"]) for ask in requests)
    padded = [[0] * (longest - len(ask["prompt"])) + ask["prompt"] for ask in requests]
    seen = [[0] * (longest - len(ask["prompt"])) + [1] * len(ask["prompt"]) for ask in requests]
    if "adapter_names" in settings and len(requests) == 1:
        settings = {}
    model.generate(
        input_ids=torch.tensor(padded),
        attention_mask=torch.tensor(seen),
        max_new_tokens=new_tokens,
        min_new_tokens=new_tokens,
        do_sample=False,
        **settings,
    )
    return new_tokens * len(requests)


WAYS = {"single": _single, "base": _batch, "mixed": _mixed, "switching": _switching}

if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), json.loads(Path(sys.argv[3]).read_text()), sys.argv[4:])
