"""A model that does not fit: trained streamed, and resident to compare: `make bench-memory`.

A random Llama whose weights are at least five times the memory that training may take learns for some steps
with its frozen layers read from disk one after the other, and again with all of them in memory. Peak memory
is the most that was ever resident in the training process, Python and mapped files included; the losses of
the two, each step's and the held-out ones, are compared. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import psutil

from benchmarks import engine
from benchmarks.briefs import document_text
from benchmarks.pairs import Pair, write
from benchmarks.product import HOME
from benchmarks.random_llama import Shape, write_random_llama

LIMIT_BYTES = 1_000_000_000
TIMES = 5  # the weights are at least so many times the limit
STEPS, BATCH, HELD_OUT = 3, 4, 4
RANK = 4
WORDS = 40  # of a text that is learnt
MODES = ("streamed", "resident")
# Resident, every frozen weight stands beside the one that the adapter is merged into.
RESIDENT_TIMES = 2.2


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument(
        "--limit", type=int, default=LIMIT_BYTES, help="bytes that streamed training may take"
    )
    parser.add_argument("--layers", type=int, help="of the model, where it need not be five times the limit")
    parser.add_argument("--steps", type=int, default=STEPS, help="optimiser steps (2 or more)")
    options = parser.parse_args(arguments)
    if options.steps < 2:
        parser.error("the first step is a warm-up: ask for 2 steps or more")
    per_layer = Shape(1).layer_bytes
    shape = Shape(options.layers or math.ceil(TIMES * options.limit / per_layer))
    if problem := _problem(shape):
        print(problem, file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="bench-", dir=_disk()) as folder:
        runs = measure(Path(folder), shape, options.steps)
    return report(shape, options.limit, runs)


def _disk() -> Path:
    """Where the model is written: beside the product's models, not where memory plays a disk."""
    HOME.mkdir(exist_ok=True)
    return HOME


def _problem(shape: Shape) -> str | None:
    """Why it can't be measured here, in a sentence."""
    needed = shape.weights_bytes * 1.1
    if shutil.disk_usage(_disk()).free < needed:
        return f"The random model needs {needed / 1e9:.1f} GB free in {HOME.name}: make room, or use --limit."
    needed = shape.weights_bytes * RESIDENT_TIMES
    if psutil.virtual_memory().available < needed:
        return f"The resident run needs {needed / 1e9:.1f} GB of memory: end other programs, or use --limit."
    return None


def measure(folder: Path, shape: Shape, steps: int) -> dict[str, tuple[engine.Run, float]]:
    """A run in each mode, and its real tokens a second after the first step."""
    print(
        f"Writing a random Llama of {shape.layers} layers, {shape.weights_bytes / 1e9:.2f} GB",
        file=sys.stderr,
        flush=True,
    )
    base = write_random_llama(folder / "base", shape)
    dataset = write(folder / "dataset.jsonl", _pairs(steps))
    runs = {}
    for mode in MODES:
        print(f"Training: {mode}", file=sys.stderr, flush=True)
        spec = _spec(mode)
        run = engine.train(base, dataset, spec, folder / mode)
        assert run.started["mode"] == mode
        later = engine.batches(base, dataset, spec)[1:]
        runs[mode] = run, engine.tokens_of(later) / sum(run.step_seconds[1:])
    return runs


def _pairs(steps: int) -> list[Pair]:
    words = document_text(0).split()
    texts = [" ".join(words[at : at + WORDS]) for at in range(0, len(words) - WORDS, WORDS)]
    learnt, others = texts[: steps * BATCH], texts[-HELD_OUT:]
    assert len(learnt) == steps * BATCH, f"at most {len(texts) // BATCH} steps"
    return [
        *(Pair("train", "Go on.", text) for text in learnt),
        *(Pair("heldout", "Go on.", text) for text in others),
    ]


def _spec(mode: str) -> dict[str, Any]:
    return {
        "rank": RANK,
        "alpha": 2.0 * RANK,
        "batch_size": BATCH,
        "evaluations": 1,
        "patience": 0,
        "precision": "fp32",
        "mode": mode,
    }


def report(shape: Shape, limit: int, runs: dict[str, tuple[engine.Run, float]]) -> int:
    """The table, in Markdown, and the JSON line; 1 where streamed training took more than its limit."""
    streamed, resident = (runs[mode][0] for mode in MODES)
    print(
        f"\nA Llama of {shape.layers} layers, {shape.weights_bytes / 1e9:.2f} GB in fp32; "
        f"streamed training may take {limit / 1e9:.2f} GB.\n"
    )
    print("| frozen weights | peak memory | weights / peak | real tokens/s | held-out loss after |")
    print("|---|---|---|---|---|")
    for mode, (run, tokens_per_s) in runs.items():
        print(
            f"| {mode} | {run.peak_bytes / 1e9:.2f} GB | {shape.weights_bytes / run.peak_bytes:.1f} "
            f"| {tokens_per_s:.1f} | {run.heldout[-1]:.6f} |"
        )
    compared = zip(streamed.losses + streamed.heldout, resident.losses + resident.heldout, strict=True)
    difference = max(abs(one - other) for one, other in compared)
    print(f"\nThe losses of the two differ by {difference:.1e} at most.")
    said = {
        "weights_bytes": shape.weights_bytes,
        "limit_bytes": limit,
        "peak_bytes": streamed.peak_bytes,
        "loss_max_difference": difference,
    }
    print(json.dumps(said))
    return int(streamed.peak_bytes > limit)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
