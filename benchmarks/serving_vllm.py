"""The real vLLM beside the project's engine, where `make test-vllm` has installed its CPU build."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks import vllm_server
from benchmarks.serving_engine import TOKEN, RunningEngine


def installed() -> bool:
    return vllm_server.PYTHON.exists()


@contextmanager
def running(model: Path, log: Path, *, adapters: int, rank: int) -> Iterator[RunningEngine]:
    """vLLM with its own defaults (compiled, prefix cache on), and one slot more than adapters."""
    options = ["--max-lora-rank", str(rank)]
    with vllm_server.serving(model, log, options, slots=adapters + 1, token=TOKEN, kv_gigabytes=2) as (
        url,
        process,
    ):
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with httpx.Client(base_url=url, headers=headers, timeout=600, trust_env=False) as http:
            yield RunningEngine(url, http, process)
