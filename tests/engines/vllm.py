"""The real vLLM as a process, in the environment that `make test-vllm` prepares."""

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

from tests.models import ROOT
from tests.serving.engines import TOKEN, RunningEngine

ENVIRONMENT = ROOT / ".venv-vllm"
START_SECONDS = 240
CONTEXT = 1024


def command(model: Path, port: int, slots: int) -> list[str]:
    return [
        *(str(ENVIRONMENT / "bin" / "python"), "-m", "vllm.entrypoints.openai.api_server"),
        *("--model", str(model), "--served-model-name", "base", "--dtype", "float32"),
        *(
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--max-model-len",
            str(CONTEXT),
            "--max-num-seqs",
            "64",
        ),
        *("--enable-lora", "--max-loras", str(slots), "--max-cpu-loras", str(slots), "--max-lora-rank", "64"),
        *("--generation-config", "vllm", "--enforce-eager", "--no-enable-log-requests"),
    ]


def environment() -> dict[str, str]:
    """What vLLM's CPU build wants, and nothing of ours but the token."""
    threads = len(os.sched_getaffinity(0))
    return {
        "PATH": f"{ENVIRONMENT / 'bin'}:{os.environ['PATH']}",
        "HOME": os.environ.get("HOME", "/tmp"),
        "VLLM_API_KEY": TOKEN,
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": f"0-{threads - 1}",
        "VLLM_CPU_NUM_OF_RESERVED_CPU": "0",
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
        "LD_PRELOAD": str(ENVIRONMENT / "lib" / "libiomp5.so"),
    }


@contextmanager
def running_vllm(model: Path, log: Path, *, slots: int) -> Iterator[RunningEngine]:
    """vLLM on a free port, with this many slots for adapters; ended with all its processes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with log.open("w") as out:
        process = subprocess.Popen(
            command(model, port, slots),
            cwd=log.parent,
            env=environment(),
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(url, process, log)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with httpx.Client(base_url=url, headers=headers, timeout=120) as http:
            yield RunningEngine(url, http, process)
    finally:
        _end(process)


def _wait_for(url: str, process: subprocess.Popen[str], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        ended, late = process.poll() is not None, time.monotonic() > deadline
        assert not ended and not late, f"vLLM did not start:\n{log.read_text()[-8000:]}"
        try:
            if httpx.get(f"{url}/health", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)


def _end(process: subprocess.Popen[str]) -> None:
    """vLLM's engine is a process beside its server: the whole group is ended."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            continue
