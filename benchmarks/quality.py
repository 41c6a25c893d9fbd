"""How much of full fine-tuning an adapter keeps: `make bench-quality`. Its last line is one JSON object.

The base, LoRA at ranks 4, 16 and 64, LoRA on the top third of the layers (frozen prefix) and full
fine-tuning, on the same examples in the same batches and order; each at the best of three learning rates.
Which rate is best is decided by 16 held-out examples, and the perplexity that is printed is measured on 32
others, of documents that nothing was trained on. The examples are of all kinds that the product makes of
running text.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import engine
from benchmarks.heldout import heldout_loss
from benchmarks.pairs import Pair, pairs, write
from benchmarks.product import ROOT

RANKS = (4, 16, 64)
RATES = (1e-3, 2e-3, 5e-4)  # of adapters; the likeliest first
FULL_RATES = (1e-4, 3e-4, 3e-5)
KINDS, MAX_TOKENS = ("cite", "draft", "continue"), 96
STEPS, EPOCHS, BATCH = 20, 2, 4
CHOSEN_BY, HELD_OUT = 16, 32
BYTES = 4  # of a number in fp32


@dataclass(frozen=True)
class Tuned:
    """One way to train at one learning rate. `seconds` are those of learning: no loading, no measuring."""

    rate: float
    trained: int  # parameters
    bytes: int  # of the file that holds what was learnt
    seconds: float
    chosen_by_loss: float
    adapter: Path | None = None
    heldout_loss: float | None = None  # measured for the best rate alone, where that saves time


@dataclass(frozen=True)
class Setting:
    folder: Path
    base: Path
    dataset: Path
    heldout: list[engine.Tokens]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("--steps", type=int, default=STEPS, help=f"optimiser steps in {EPOCHS} epochs")
    parser.add_argument("--rates", type=int, default=3, choices=(1, 2, 3), help="learning rates to try")
    parser.add_argument("--base", type=Path, help="another prepared base, for a look at the benchmark itself")
    options = parser.parse_args(arguments)
    if options.steps % EPOCHS or options.steps < EPOCHS:
        parser.error(f"each of the {EPOCHS} epochs has as many steps: ask for a multiple of {EPOCHS}")
    with tempfile.TemporaryDirectory(prefix="housestyle-bench-") as folder:
        setting = _setting(Path(folder), options.base or engine.base_folder(), options.steps)
        report(setting, *measure(setting, options.rates))
    return 0


def _setting(folder: Path, base: Path, steps: int) -> Setting:
    lines = pairs(
        base,
        train=steps // EPOCHS * BATCH,
        heldout=CHOSEN_BY + HELD_OUT,
        kinds=KINDS,
        max_tokens=MAX_TOKENS,
    )
    others = [line for line in lines if line.split == "heldout"]
    learnt = [line for line in lines if line.split == "train"]
    dataset = write(folder / "dataset.jsonl", [*learnt, *others[:CHOSEN_BY]])
    # A file without anything to train on is refused.
    measured = write(folder / "heldout.jsonl", [Pair("train", "-", "-"), *others[CHOSEN_BY:]])
    batches = engine.batches(base, dataset, _spec())
    assert len(batches) == steps
    print(
        f"{steps} steps of {BATCH} examples in {EPOCHS} epochs, {engine.tokens_of(batches):,} tokens; "
        f"{HELD_OUT} examples held out.",
        flush=True,
    )
    return Setting(folder, base, dataset, engine.heldout_examples(base, measured))


def measure(setting: Setting, rates: int) -> tuple[float, dict[str, Tuned]]:
    """The base's held-out loss, and every way to train at the best of its learning rates."""
    base_loss = heldout_loss(setting.base, None, setting.heldout)
    ways: dict[str, dict[str, Any]] = {f"lora{rank}": {"rank": rank, "alpha": 2.0 * rank} for rank in RANKS}
    ways["frozen_prefix"] = {"rank": 16, "alpha": 32.0, "layers": engine.top_third(setting.base)}
    best = {}
    for name, settings in ways.items():
        spec = _spec(**settings)
        best[name] = _best([_adapter(setting, name, spec | {"learning_rate": at}) for at in RATES[:rates]])
        loss = heldout_loss(setting.base, best[name].adapter, setting.heldout)
        best[name] = replace(best[name], heldout_loss=loss)
    best["full"] = _best([_full(setting, rate) for rate in FULL_RATES[:rates]])
    return base_loss, best


def _best(tried: Sequence[Tuned]) -> Tuned:
    """That with the learning rate which the 16 examples prefer."""
    return min(tried, key=lambda tuned: tuned.chosen_by_loss)


def _spec(**settings: Any) -> dict[str, Any]:
    return {
        "epochs": EPOCHS,
        "batch_size": BATCH,
        "evaluations": 1,
        "patience": 0,
        "precision": "fp32",
        "mode": "resident",
    } | settings


def _adapter(setting: Setting, name: str, spec: dict[str, Any]) -> Tuned:
    folder = setting.folder / f"{name}-{spec['learning_rate']:g}"
    print(f"Training: {folder.name}", file=sys.stderr, flush=True)
    run = engine.train(setting.base, setting.dataset, spec, folder)
    seconds = sum(run.step_seconds)
    if spec.get("layers"):
        tokens = engine.tokens_of([engine.train_examples(setting.base, setting.dataset)])
        seconds += tokens * run.preparing_seconds_a_token
    return Tuned(
        rate=spec["learning_rate"],
        trained=run.started["trainable_parameters"],
        bytes=run.done["bytes"],
        seconds=seconds,
        chosen_by_loss=run.heldout[-1],
        adapter=folder / "adapter",
    )


def _full(setting: Setting, rate: float) -> Tuned:
    print(f"Training: full-{rate:g}", file=sys.stderr, flush=True)
    spec = _spec(learning_rate=rate)
    batches = engine.batches(setting.base, setting.dataset, spec)
    job = {
        "base": str(setting.base),
        "batches": batches,
        "rates": engine.learning_rates(len(batches), spec),
        "chosen_by": engine.heldout_examples(setting.base, setting.dataset),
        "heldout": setting.heldout,
    }
    path = setting.folder / "full.json"
    path.write_text(json.dumps(job))
    command = [sys.executable, "-m", "benchmarks.full", str(path)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    said = json.loads(done.stdout.splitlines()[-1])
    return Tuned(rate=rate, bytes=said["trained"] * BYTES, **said)


def report(setting: Setting, base_loss: float, best: dict[str, Tuned]) -> None:
    """The table in Markdown, and the JSON line."""
    top = f"top {engine.top_third(setting.base)} of {engine.layers(setting.base)} layers"
    labels = {f"lora{rank}": f"LoRA, rank {rank}" for rank in RANKS}
    labels |= {"frozen_prefix": f"LoRA, rank 16, {top}", "full": "full fine-tuning"}
    print("\n| | held-out perplexity | learning rate | trained parameters | size | seconds |")
    print("|---|---|---|---|---|---|")
    print(f"| base | {math.exp(base_loss):.2f} | | | | |")
    found = {"base_ppl": round(math.exp(base_loss), 4)}
    for name, tuned in best.items():
        assert tuned.heldout_loss is not None
        ppl = math.exp(tuned.heldout_loss)
        print(
            f"| {labels[name]} | {ppl:.2f} | {tuned.rate:g} | {tuned.trained / 1e6:.2f} M "
            f"| {tuned.bytes / 1e6:.1f} MB | {tuned.seconds:.0f} |"
        )
        found[f"{name}_ppl"] = round(ppl, 4)
    print(json.dumps(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
