"""The real vLLM, as the tests of engines ask it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks import vllm_server
from tests.serving.engines import TOKEN, RunningEngine

OPTIONS = ("--max-lora-rank", "64", "--generation-config", "vllm", "--enforce-eager")


@contextmanager
def running_vllm(model: Path, log: Path, *, slots: int) -> Iterator[RunningEngine]:
    """vLLM on a free port, with this many slots for adapters; ended with all its processes."""
    with vllm_server.serving(model, log, OPTIONS, slots=slots, token=TOKEN) as (url, process):
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with httpx.Client(base_url=url, headers=headers, timeout=120) as http:
            yield RunningEngine(url, http, process)
