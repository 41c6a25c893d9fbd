"""What this process would train on, measured: `python -m workers.engine.device --base … --work …`.

Prints one JSON object with the fields of webapp.training.models.Device.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from workers.engine.load import default_device
from workers.host_memory import host_memory

MEASURE_SECONDS = 0.3
READ_BYTES, READ_CHUNK = 256 * 2**20, 4 * 2**20
# Rows of the square matrices that are multiplied: large enough for the full rate, and quick enough for 0.3 s.
MATRIX = {"cpu": 1024, "cuda": 4096}
TOGETHER = 0.9  # what several threads do, as a share of what they would do one by one


def describe(base: Path, work: Path) -> dict[str, str | int | float]:
    """Name, kind, bytes of memory and disk, operations and bytes a second.

    The name tells devices apart and equal machines not: what one of them measured holds for the other.
    """
    kind = default_device()
    host = host_memory()
    if kind == "cuda":  # not run by the tests: their machines have no GPU
        card, count = torch.cuda.get_device_properties(0), torch.cuda.device_count()
        # A worker that sees several spreads the frozen weights over them (workers/engine/general/sharded.py).
        name = card.name if count == 1 else f"{card.name}, {count} of them"
        memory = count * card.total_memory
    else:
        name, memory = f"{processor()}, {torch.get_num_threads()} threads", host
    return {
        "name": f"{name}, {memory / 2**30:.0f} GB"[:200],
        "kind": kind,
        "memory_bytes": memory,
        "host_memory_bytes": host,
        "matrix_flops": matrix_flops(kind),
        "read_bytes_per_s": read_rate(base),
        "free_disk_bytes": shutil.disk_usage(_existing(work)).free,
    }


def matrix_flops(kind: str) -> float:
    """Operations a second in a product of large matrices: fp32 on a CPU, bf16 on a GPU. The best of many."""
    size = MATRIX[kind]
    matrix = torch.ones(size, size, dtype=torch.bfloat16 if kind == "cuda" else torch.float32, device=kind)

    def multiply() -> None:
        matrix @ matrix
        if kind == "cuda":
            torch.cuda.synchronize()

    rate = 2 * size**3 / _best_seconds(multiply, time.perf_counter)
    return rate if kind == "cuda" else max(rate, 2 * size**3 * _threads_worth(multiply))


def _threads_worth(multiply: Callable[[], None]) -> float:
    """How often a second all threads could `multiply` if nothing else ran, from the time that one of them is
    given: a machine that just starts everything else looks many times slower than it is."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        one = 1 / _best_seconds(multiply, time.thread_time)
    finally:
        torch.set_num_threads(threads)
    return one if threads == 1 else one * threads * TOGETHER


def read_rate(folder: Path) -> float:
    """Bytes a second from the disk that holds the largest file of `folder`, which is asked to be forgotten
    first. Raises OSError where there is none."""
    paths = [path for path in folder.glob("*.safetensors") if path.stat().st_size]
    if not paths:
        raise FileNotFoundError(f"There are no weights in {folder}.")
    largest = max(paths, key=lambda path: path.stat().st_size)
    file = os.open(largest, os.O_RDONLY)
    try:
        if hasattr(os, "posix_fadvise"):  # what another process has mapped stays in memory all the same
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        start, read = time.perf_counter(), 0
        while read < READ_BYTES and (data := os.read(file, READ_CHUNK)):
            read += len(data)
            if time.perf_counter() - start > MEASURE_SECONDS:
                break
        return read / max(time.perf_counter() - start, 1e-6)
    finally:
        os.close(file)


def processor() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else os.uname().machine


def _best_seconds(work: Callable[[], None], clock: Callable[[], float]) -> float:
    work()  # the first sets things up
    best, end = float("inf"), time.perf_counter() + MEASURE_SECONDS
    while best == float("inf") or time.perf_counter() < end:
        start = clock()
        work()
        best = min(best, clock() - start)
    return max(best, 1e-9)


def _existing(folder: Path) -> Path:
    """`folder`, or the nearest above it that exists."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m workers.engine.device", description=__doc__)
    parser.add_argument("--base", type=Path, required=True, help="the folder of a base model")
    parser.add_argument("--work", type=Path, required=True, help="the folder that training writes to")
    options = parser.parse_args(arguments)
    try:
        print(json.dumps(describe(options.base, options.work)))
    except OSError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
