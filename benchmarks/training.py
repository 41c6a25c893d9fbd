"""Training beside its peers, measured: `make bench-training`. Its last line is one JSON object.

The same instruction pairs in the same batches and order (but for packing, which puts them together its own
way), the same rank, learning rates and matrices to begin with, on the same base in fp32, each in a process of
its own, one after the other. Tokens a second count the examples' tokens without padding; every trainer's
first step is left out as its warm-up. Memory is the most that was resident in the process, all of it. All
held-out losses are measured by the same code on the adapters that the trainers wrote.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import engine
from benchmarks.heldout import heldout_loss
from benchmarks.matrices import peak_flops, training_flops
from benchmarks.pairs import Pair, pairs, write
from benchmarks.peers import peers_python
from benchmarks.product import ROOT

# Pinned as the project's own where both have a package; the rest is what TRL's `datasets` needs.
PACKAGES = (
    "accelerate==1.15.0",
    "datasets==5.2.0",
    "dill==0.4.1",
    "multiprocess==0.70.19",
    "pandas==3.1.1",
    "peft==0.21.2",
    "pyarrow==26.0.1",
    "torch==2.13.0",
    "transformers==5.23.0",
    "trl==1.16.0",
    "xxhash==4.1.0",
)
PEERS = {
    "trl": "TRL SFTTrainer + PEFT",
    "trl-packing": "TRL, packing",
    "loop": "transformers + PEFT loop",
}
OURS = {"full-depth": "Housestyle, full depth", "frozen-prefix": "Housestyle, frozen prefix"}
STEPS, BATCH, HELD_OUT = 8, 8, 32
SPEC: dict[str, Any] = {
    "rank": 16,
    "alpha": 32.0,
    "dropout": 0.0,
    "target": "all-linear",
    "learning_rate": 1e-3,
    "schedule": "cosine",
    "warmup_share": 0.1,
    "epochs": 1,
    "batch_size": BATCH,
    "batch_tokens": 2048,
    "evaluations": 1,
    "patience": 0,
    "precision": "fp32",
    "mode": "resident",
    "seed": 0,
}


@dataclass(frozen=True)
class Trained:
    name: str
    tokens_per_s: float
    peak_bytes: int
    heldout_loss: float
    steps: int
    losses: list[float]
    seconds: list[float]


@dataclass(frozen=True)
class Setting:
    """What all trainers are given."""

    folder: Path
    base: Path
    lines: list[Pair]
    dataset: Path
    batches: engine.Batches
    heldout: list[tuple[list[int], int]]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__)
    parser.add_argument("--steps", type=int, default=STEPS, help="optimiser steps of each (2 or more)")
    known = [*PEERS, *OURS]
    parser.add_argument("--only", nargs="+", choices=known, default=known, help="some of the trainers")
    parser.add_argument(
        "--base", type=Path, help="another prepared base model, for a look at the benchmark itself"
    )
    options = parser.parse_args(arguments)
    if options.steps < 2:
        parser.error("the first step is a warm-up: ask for 2 steps or more")
    with tempfile.TemporaryDirectory(prefix="housestyle-bench-") as folder:
        report(measure(Path(folder), options.base or engine.base_folder(), options.steps, options.only))
    return 0


def measure(folder: Path, base: Path, steps: int, only: Sequence[str]) -> dict[str, Any]:
    """The figures of the JSON line, and some more for the table."""
    setting = _setting(folder, base, steps)
    peers = [name for name in PEERS if name in only]
    python = peers_python("training", PACKAGES, ROOT / "constraints.txt") if peers else Path()
    trained = [_peer(python, name, setting) for name in peers]
    found: dict[str, Any] = {"base_loss": heldout_loss(setting.base, None, setting.heldout)}
    if "full-depth" in only:
        peak = peak_flops()
        full = _full_depth(setting)
        peak = max(peak, peak_flops())
        rows, labels = engine.rows_and_labels(setting.batches[1:], SPEC)
        flops = training_flops(setting.base, rows, labels) / sum(full.seconds[1:])
        found |= {"peak_flops": peak, "flops": flops}
        trained.append(full)
    if "frozen-prefix" in only:
        prefix, first_epoch = _frozen_prefix(setting)
        found["first_epoch_tokens_per_s"] = first_epoch
        found["top_layers"] = f"top {engine.top_third(base)} of {engine.layers(base)} layers"
        trained.append(prefix)
    return found | {"trained": {one.name: one for one in trained}}


def _setting(folder: Path, base: Path, steps: int) -> Setting:
    lines = pairs(base, train=steps * BATCH, heldout=HELD_OUT)
    dataset = write(folder / "dataset.jsonl", lines)
    batches = engine.batches(base, dataset, SPEC)
    assert len(batches) == steps
    print(
        f"{steps} steps of {BATCH} examples, {engine.tokens_of(batches) / (steps * BATCH):.0f} tokens each "
        f"on average; {HELD_OUT} held out. Rank {SPEC['rank']} on all linear layers, fp32.",
        flush=True,
    )
    heldout = engine.heldout_examples(base, dataset)
    return Setting(folder, base, lines, dataset, batches, heldout)


def _peer(python: Path, name: str, setting: Setting) -> Trained:
    _tell(PEERS[name])
    initial = setting.folder / "initial.safetensors"
    if not initial.exists():
        engine.initial_adapter(setting.base, SPEC, initial)
    output = setting.folder / name
    job = {
        "peer": name,
        "base": str(setting.base),
        "batches": setting.batches,
        "chats": _chats(setting),
        "initial": str(initial),
        "spec": SPEC,
        "target_modules": engine.target_modules(SPEC),
        "output": str(output),
    }
    path = setting.folder / f"{name}.json"
    path.write_text(json.dumps(job))
    command = [str(python), str(ROOT / "benchmarks" / "training_peer.py"), str(path)]
    log = setting.folder / f"{name}.log"
    with log.open("w") as errors:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=errors, text=True)
    if done.returncode:
        raise RuntimeError(f"{PEERS[name]} ended with an error:\n{log.read_text()[-3000:]}")
    said = json.loads(done.stdout.splitlines()[-1])
    ours = engine.learning_rates(len(said["seconds"]), SPEC)
    assert all(abs(one - other) < 1e-9 for one, other in zip(said["learning_rates"], ours, strict=True))
    assert sum(said["tokens"]) == engine.tokens_of(setting.batches)
    return Trained(
        name=name,
        tokens_per_s=sum(said["tokens"][1:]) / sum(said["seconds"][1:]),
        peak_bytes=said["peak_bytes"],
        heldout_loss=heldout_loss(setting.base, output, setting.heldout),
        steps=len(said["seconds"]),
        losses=said["losses"],
        seconds=said["seconds"],
    )


def _chats(setting: Setting) -> list[tuple[str, str]]:
    """What is asked and answered in each example, in the order of the batches."""
    train = [(line.prompt, line.completion) for line in setting.lines if line.split == "train"]
    by_tokens = {
        tuple(tokens): chat
        for (tokens, _), chat in zip(engine.train_examples(setting.base, setting.dataset), train, strict=True)
    }
    return [by_tokens[tuple(tokens)] for batch in setting.batches for tokens, _ in batch]


def _full_depth(setting: Setting) -> Trained:
    _tell(OURS["full-depth"])
    run = engine.train(setting.base, setting.dataset, SPEC, setting.folder / "full-depth")
    return _ours("full-depth", run, setting, setting.batches, first=1)


def _frozen_prefix(setting: Setting) -> tuple[Trained, float]:
    """Two epochs on the top third of the layers, and the real tokens a second of the first: of all its steps,
    with the making of the hidden states that it learns from."""
    _tell(OURS["frozen-prefix"])
    spec = SPEC | {"layers": engine.top_third(setting.base), "epochs": 2}
    run = engine.train(setting.base, setting.dataset, spec, setting.folder / "frozen-prefix")
    batches, steps = engine.batches(setting.base, setting.dataset, spec), len(setting.batches)
    tokens = engine.tokens_of(batches[:steps])
    seconds = tokens * run.preparing_seconds_a_token + sum(run.step_seconds[:steps])
    return _ours("frozen-prefix", run, setting, batches, first=steps), tokens / seconds


def _ours(name: str, run: engine.Run, setting: Setting, batches: engine.Batches, *, first: int) -> Trained:
    """What a run of ours did from step `first` on, counted from 0."""
    seconds = run.step_seconds
    assert len(seconds) == len(batches)
    loss = heldout_loss(setting.base, setting.folder / name / "adapter", setting.heldout)
    assert abs(loss - min(run.heldout)) < 1e-3, "the engine measures another held-out loss than transformers"
    return Trained(
        name=name,
        tokens_per_s=engine.tokens_of(batches[first:]) / sum(seconds[first:]),
        peak_bytes=run.peak_bytes,
        heldout_loss=loss,
        steps=len(seconds),
        losses=run.losses,
        seconds=seconds,
    )


def report(found: dict[str, Any]) -> None:
    """The table, in Markdown, what it says in short, and the JSON line; null for what was left out."""
    trained: dict[str, Trained] = found["trained"]
    trl = trained.get("trl")
    print("\n| trainer | steps | real tokens/s | against TRL | peak memory | held-out loss |")
    print("|---|---|---|---|---|---|")
    print(f"| the base, untrained | 0 | | | | {found['base_loss']:.4f} |")
    for name, one in trained.items():
        label = (PEERS | OURS)[name]
        if name == "frozen-prefix":
            first = found["first_epoch_tokens_per_s"]
            half = one.steps // 2
            label += f" ({found['top_layers']})"
            print(f"| {label}, first epoch | {half} | {first:.0f} | {_times(first, trl)} | | |")
            label += ", later epochs"
        print(
            f"| {label} | {one.steps} | {one.tokens_per_s:.0f} | {_times(one.tokens_per_s, trl)} "
            f"| {one.peak_bytes / 1e9:.2f} GB | {one.heldout_loss:.4f} |"
        )
    full, packing, loop = (trained.get(name) for name in ("full-depth", "trl-packing", "loop"))
    share = found["flops"] / found["peak_flops"] if full else None
    if share:
        print(
            f"\nFull depth computes {found['flops'] / 1e9:.0f} GFLOPS of the {found['peak_flops'] / 1e9:.0f} "
            f"measured with large fp32 matrices: {share:.0%} (products with frozen weights alone counted)."
        )
    if trl and full:
        difference, memory = full.heldout_loss / trl.heldout_loss - 1, full.peak_bytes / trl.peak_bytes
        print(f"Its held-out loss is {difference:+.2%} from TRL's, its memory {memory:.0%} of TRL's.")
    prefix = trained.get("frozen-prefix")
    said = {
        "trl_tokens_per_s": trl and round(trl.tokens_per_s, 1),
        "trl_packing_tokens_per_s": packing and round(packing.tokens_per_s, 1),
        "loop_tokens_per_s": loop and round(loop.tokens_per_s, 1),
        "full_depth_tokens_per_s": full and round(full.tokens_per_s, 1),
        "frozen_prefix_tokens_per_s": prefix and round(prefix.tokens_per_s, 1),
        "heldout_loss_trl": trl and round(trl.heldout_loss, 5),
        "heldout_loss_full_depth": full and round(full.heldout_loss, 5),
        "peak_bytes_trl": trl and trl.peak_bytes,
        "peak_bytes_full_depth": full and full.peak_bytes,
        "share_of_matrix_peak": share and round(share, 4),
    }
    print(json.dumps(said))


def _times(tokens_per_s: float, trl: Trained | None) -> str:
    return f"{tokens_per_s / trl.tokens_per_s:.2f}x" if trl else ""


def _tell(name: str) -> None:
    print(f"Training: {name}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
