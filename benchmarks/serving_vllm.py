"""The real vLLM as a process, where `make test-vllm` has installed its CPU build."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks.product import ROOT
from benchmarks.serving_engine import TOKEN, RunningEngine

PYTHON = ROOT / ".venv-vllm" / "bin" / "python"
START_SECONDS = 300


def installed() -> bool:
    return PYTHON.exists()


@contextmanager
def running(model: Path, log: Path, *, adapters: int, rank: int) -> Iterator[RunningEngine]:
    """vLLM with its own defaults (compiled, prefix cache on) in fp32, and one slot more than adapters."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    slots = str(adapters + 1)
    command = [str(PYTHON), "-m", "vllm.entrypoints.openai.api_server"]
    command += ["--model", str(model), "--served-model-name", "base", "--dtype", "float32"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--max-model-len", "1024", "--max-num-seqs", "64"]
    command += ["--enable-lora", "--max-loras", slots, "--max-cpu-loras", slots]
    command += ["--max-lora-rank", str(rank), "--no-enable-log-requests"]
    with log.open("w") as out:
        process = subprocess.Popen(
            command,
            cwd=log.parent,
            env=_environment(),
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )
    headers = {"Authorization": f"Bearer {TOKEN}"}
    try:
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=600, trust_env=False
        ) as http:
            _wait(http, process, log)
            yield RunningEngine(str(http.base_url), http, process)
    finally:
        _end(process)


def _environment() -> dict[str, str]:
    threads = len(os.sched_getaffinity(0))
    return {
        "PATH": f"{PYTHON.parent}:{os.environ['PATH']}",
        "HOME": os.environ.get("HOME", "/tmp"),
        "VLLM_API_KEY": TOKEN,
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
        "VLLM_CPU_KVCACHE_SPACE": "2",
        "VLLM_CPU_OMP_THREADS_BIND": f"0-{threads - 1}",
        "VLLM_CPU_NUM_OF_RESERVED_CPU": "0",
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
        "LD_PRELOAD": str(PYTHON.parent.parent / "lib" / "libiomp5.so"),
    }


def _wait(http: httpx.Client, process: subprocess.Popen[str], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"vLLM did not start:\n{log.read_text()[-3000:]}")
        try:
            if http.get("/health").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)


def _end(process: subprocess.Popen[str]) -> None:
    """Its engine is a process beside its server: the whole group is ended."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            continue
