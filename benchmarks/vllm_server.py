"""The real vLLM as a process, in the environment that `make test-vllm` prepares; for tests and benchmarks."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks.product import ROOT
from webapp.core.embedded.valkey import free_port

ENVIRONMENT = ROOT / ".venv-vllm"
PYTHON = ENVIRONMENT / "bin" / "python"
START_SECONDS = 300
CONTEXT = 1024  # tokens


def environment(token: str = "", *, kv_gigabytes: int = 1) -> dict[str, str]:
    """What vLLM's CPU build wants, and nothing of ours but the token."""
    threads = len(os.sched_getaffinity(0))
    return {
        "PATH": f"{PYTHON.parent}:{os.environ['PATH']}",
        "HOME": os.environ.get("HOME", "/tmp"),
        "VLLM_API_KEY": token,
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
        "VLLM_CPU_KVCACHE_SPACE": str(kv_gigabytes),
        "VLLM_CPU_OMP_THREADS_BIND": f"0-{threads - 1}",
        "VLLM_CPU_NUM_OF_RESERVED_CPU": "0",
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
        "LD_PRELOAD": str(ENVIRONMENT / "lib" / "libiomp5.so"),
    }


@contextmanager
def serving(
    model: Path, log: Path, options: Sequence[str], *, slots: int, token: str, kv_gigabytes: int = 1
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The address of a vLLM that serves `model` in fp32 as `base`, with this many slots for adapters, and its
    process; ended with all its processes. Raises RuntimeError with the end of its log if it doesn't start."""
    port = free_port()
    command = [str(PYTHON), "-m", "vllm.entrypoints.openai.api_server", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--model", str(model), "--served-model-name", "base"]
    command += ["--dtype", "float32", "--max-model-len", str(CONTEXT), "--max-num-seqs", "64"]
    command += ["--enable-lora", "--max-loras", str(slots), "--max-cpu-loras", str(slots)]
    command += ["--no-enable-log-requests", *options]
    with log.open("w") as out:
        process = subprocess.Popen(
            command,
            cwd=log.parent,
            env=environment(token, kv_gigabytes=kv_gigabytes),
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(url, process, log)
        yield url, process
    finally:
        _end(process)


def _wait_for(url: str, process: subprocess.Popen[str], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"vLLM did not start:\n{log.read_text()[-8000:]}")
        try:
            if httpx.get(f"{url}/health", trust_env=False).status_code == 200:
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
