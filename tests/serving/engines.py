"""The real engine as a process, and adapters that PEFT made for it."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    import torch

ROOT = Path(__file__).parent.parent.parent
TOKEN = "a token for tests"
ALL_LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class RunningEngine:
    """Where a started engine listens, and calls that most tests make."""

    url: str
    http: httpx.Client
    process: subprocess.Popen[str]

    def load(self, name: str, folder: Path) -> httpx.Response:
        return self.http.post("/v1/load_lora_adapter", json={"lora_name": name, "lora_path": str(folder)})

    def unload(self, name: str) -> httpx.Response:
        return self.http.post("/v1/unload_lora_adapter", json={"lora_name": name})

    def complete(self, model: str, prompt: str | list[int], **settings: Any) -> httpx.Response:
        body = {"model": model, "prompt": prompt, "max_tokens": 8, "temperature": 0, **settings}
        return self.http.post("/v1/completions", json=body)

    def chat(self, model: str, text: str, **settings: Any) -> httpx.Response:
        messages = [{"role": "user", "content": text}]
        body = {"model": model, "messages": messages, "max_tokens": 8, "temperature": 0, **settings}
        return self.http.post("/v1/chat/completions", json=body)

    def load_now(self) -> int:
        return int(self.http.get("/load").json()["server_load"])


def engine_command(model: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "workers.serving", "--port", "0", "--model", str(model), *options]


def environment(token: str = TOKEN) -> dict[str, str]:
    return {**os.environ, "HOUSESTYLE_ENGINE_TOKEN": token, "OMP_NUM_THREADS": "2"}


@contextmanager
def running_engine(model: Path, *options: str) -> Iterator[RunningEngine]:
    """The engine, started on a free port and stopped by its own signal at the end."""
    process = subprocess.Popen(
        engine_command(model, *options), cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        ready = process.stdout.readline()
        assert "Engine ready at" in ready, ready
        url = ready.split()[3]
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with httpx.Client(base_url=url, headers=headers, timeout=120) as http:
            yield RunningEngine(url, http, process)
    finally:
        process.terminate()
        process.wait(timeout=30)


def make_adapter(
    base: Path,
    folder: Path,
    *,
    rank: int,
    targets: Sequence[str] = ALL_LINEAR,
    seed: int = 0,
    **settings: Any,
) -> Path:
    """An adapter whose B is not zero, so that it answers unlike the base, saved by PEFT into `folder`."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=list(targets), **settings)
    adapted = get_peft_model(model, config)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.2)
    adapted.save_pretrained(str(folder))
    return folder


def reference_tokens(base: Path, adapter: Path | None, prompt: list[int], count: int) -> list[int]:
    """What transformers and PEFT generate greedily in fp32, up to the end token."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    if adapter is not None:
        model = PeftModel.from_pretrained(model, str(adapter))
    ids = torch.tensor([prompt])
    with torch.inference_mode():
        out = model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=count, do_sample=False
        )
    tokens: list[int] = out[0, len(prompt) :].tolist()
    return tokens


@functools.cache
def reference_model(base: Path, adapter: Path | None) -> Any:
    """The model of transformers and PEFT in fp32, read once for all tests."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    return (model if adapter is None else PeftModel.from_pretrained(model, str(adapter))).eval()


def reference_logits(base: Path, adapter: Path | None, tokens: Sequence[int]) -> torch.Tensor:
    """What follows each token, `[tokens, vocabulary]`."""
    import torch

    with torch.inference_mode():
        logits: torch.Tensor = reference_model(base, adapter)(input_ids=torch.tensor([list(tokens)])).logits
    return logits[0]
