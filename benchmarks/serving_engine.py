"""The project's engine as a process, and what its 8-bit weights cost."""

from __future__ import annotations

import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from benchmarks.product import ROOT

TOKEN = "a token of this benchmark only"


@dataclass(frozen=True)
class RunningEngine:
    url: str
    http: httpx.Client
    process: subprocess.Popen[str]

    def load(self, names: Sequence[str], folders: Sequence[Path]) -> list[float]:
        """Loads adapters one by one; how many seconds each took."""
        seconds = []
        for name, folder in zip(names, folders, strict=True):
            began = time.perf_counter()
            body = {"lora_name": name, "lora_path": str(folder)}
            self.http.post("/v1/load_lora_adapter", json=body).raise_for_status()
            seconds.append(time.perf_counter() - began)
        return seconds

    def resident_bytes(self) -> int:
        """Memory of its own, without what it maps from files."""
        full = psutil.Process(self.process.pid).memory_full_info()
        return int(full.uss)


@contextmanager
def running(model: Path, *options: str) -> Iterator[RunningEngine]:
    command = [sys.executable, "-m", "workers.serving", "--port", "0", "--model", str(model), *options]
    environment = {**os.environ, "HOUSESTYLE_ENGINE_TOKEN": TOKEN}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = next((line for line in process.stdout if "Engine ready at" in line), None)
        assert line, "the engine did not start"
        url = line.split("Engine ready at ")[1].split()[0]
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with httpx.Client(base_url=url, headers=headers, timeout=600, trust_env=False) as http:
            yield RunningEngine(url, http, process)
    finally:
        process.terminate()
        process.wait(60)


@dataclass(frozen=True)
class Perplexities:
    """Of the base on the demo firms' documents, in both kinds of weights; `tokens` that were foreseen."""

    float32: float
    int8: float
    tokens: int


def perplexities(model: Path) -> Perplexities:
    import torch

    from workers.serving import calibration
    from workers.serving.config import LlamaConfig
    from workers.serving.llama import Llama
    from workers.serving.text import TextModel

    config, text = LlamaConfig.read(model), TextModel(model)
    windows = [
        tokens[at : at + 512]
        for path in sorted((ROOT / "webapp" / "demo" / "firms").rglob("*.txt"))
        for tokens in [text.encode(path.read_text("utf-8"))]
        for at in range(0, len(tokens) - 128, 512)
    ]

    def loss(llama: Llama) -> float:
        losses = []
        for window in windows:
            logits = llama.reference(window)[:-1]
            losses += torch.nn.functional.cross_entropy(
                logits, torch.tensor(window[1:]), reduction="none"
            ).tolist()
        return statistics.fmean(losses)

    with torch.inference_mode():
        shown = text.encode(calibration.TEXT)
        exact = loss(Llama.load(model, config, 2048))
        near = loss(Llama.load(model, config, 2048, weights="int8", calibration=shown))
    return Perplexities(math.exp(exact), math.exp(near), sum(len(window) - 1 for window in windows))
