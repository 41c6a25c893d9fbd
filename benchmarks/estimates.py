"""What runs were estimated to cost beside what they cost: `make bench-estimates` (ARGS="--quick" is shorter).

For each mode two runs of the base through the training child: the first is estimated from configuration and
device alone, and calibrates the estimate of the second, which is longer. Prints estimated / measured, by part
and in all; the last line is JSON. Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import engine
from benchmarks.pairs import Pair, pairs, write
from webapp.training.estimate import Calibration, Estimate, Machine, Shape, Workload, estimate
from webapp.training.spec import TrainingSpec
from workers.engine.device import describe

TRAIN, LONGER, HELDOUT = 40, 80, 12
PROMPTS = 3
# Which part of the estimate the time before an event of the child belongs to.
PARTS = {"preparing": "prefix", "heldout": "evaluations", "answers": "answers", "step": "training"}

Tokens = Sequence[engine.Tokens]


def workload(train: Tokens, heldout: Tokens) -> Workload:
    """The figures of a dataset in tokens."""
    lengths = [len(tokens) for tokens, _ in train]
    first, last = min(tokens for tokens, _ in train), max(tokens for tokens, _ in train)
    same = next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return Workload(
        examples=len(train),
        tokens=sum(lengths),
        label_tokens=sum(len(tokens) - prompt for tokens, prompt in train),
        longest=max(lengths),
        spread=statistics.pstdev(lengths),
        shared=same,
        heldout_examples=len(heldout),
        heldout_tokens=sum(len(tokens) for tokens, _ in heldout),
        heldout_label_tokens=sum(len(tokens) - prompt for tokens, prompt in heldout),
    )


def seconds_by_part(run: engine.Run) -> dict[str, float]:
    """Seconds of a run by the estimate's parts; loading is all the rest."""
    spent: dict[str, float] = defaultdict(float)
    for (began, _), (ended, event) in zip(run.events, run.events[1:], strict=False):
        spent[PARTS.get(event["event"], "loading")] += ended - began
    spent["loading"] = run.done["seconds"] - sum(value for part, value in spent.items() if part != "loading")
    return spent


def machine(base: Path) -> Machine:
    found: dict[str, Any] = describe(base, base)
    return Machine(**found)


def ratio(estimated: float, measured: float) -> str:
    return f"{estimated / measured:.2f}" if measured > 0.05 else "–"


def tell(made: Estimate, run: engine.Run, title: str) -> None:
    """A line by part, then the whole."""
    spent = seconds_by_part(run)
    print(f"\n{title}: {made.mode}, {made.steps} steps, {made.tokens_at_once} tokens at once at most")
    for part in ("loading", "prefix", "evaluations", "answers", "training"):
        expected = getattr(made.seconds, part)
        print(f"  {part:12} {expected:7.1f} s, measured {spent[part]:7.1f} s  {ratio(expected, spent[part])}")
    measured = run.done["seconds"]
    print(f"  {'time':12} {made.total_seconds:7.1f} s, measured {measured:7.1f} s", end="")
    print(f"  {ratio(made.total_seconds, measured)}")
    measured = run.done["peak_bytes"]
    print(f"  {'memory':12} {made.bytes / 2**20:7.0f} MB, measured {measured / 2**20:6.0f} MB", end="")
    print(f"  {ratio(made.bytes, measured)}", flush=True)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.estimates", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="half of the examples")
    parser.add_argument("--mode", action="append", choices=("resident", "frozen-prefix", "streamed"))
    options = parser.parse_args(arguments)
    base = engine.base_folder()
    shape = Shape.from_config(json.loads((base / "config.json").read_text()))
    here = machine(base)
    print(f"{here.name}: {here.matrix_flops / 1e9:.0f} billion operations a second, ", end="")
    print(f"reads {here.read_bytes_per_s / 2**20:.0f} MB a second", flush=True)
    specs = {
        "resident": TrainingSpec(mode="resident", evaluations=3, patience=0),
        "frozen-prefix": TrainingSpec(
            mode="resident", layers=engine.top_third(base), epochs=2, evaluations=3, patience=0
        ),
        "streamed": TrainingSpec(mode="streamed", evaluations=2, patience=0),
    }
    wanted = options.mode or list(specs)
    sizes = [size // 2 if options.quick else size for size in (TRAIN, LONGER)]
    lines = pairs(base, train=sizes[-1], heldout=HELDOUT)
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in wanted:
            found[name] = _two_runs(name, specs[name], base, shape, here, lines, sizes, Path(folder))
    print(json.dumps(found))


def _two_runs(
    name: str,
    spec: TrainingSpec,
    base: Path,
    shape: Shape,
    here: Machine,
    lines: list[Pair],
    sizes: list[int],
    folder: Path,
) -> dict[str, float]:
    """Estimated / measured of memory and time, before and after calibration by the first run."""
    calibration = Calibration()
    results: dict[str, float] = {}
    for size, title in zip(sizes, ("", "calibrated_"), strict=True):
        heldout = [line for line in lines if line.split == "heldout"]
        chosen = [line for line in lines if line.split == "train"][:size] + heldout
        dataset = write(folder / f"{name}-{size}.jsonl", chosen)
        prompts = [{"prompt": line.prompt, "expected": line.completion} for line in heldout[:PROMPTS]]
        run = engine.train(base, dataset, spec.as_dict(), folder / f"{name}-{size}", prompts)
        work = workload(engine.train_examples(base, dataset), engine.heldout_examples(base, dataset))
        made = estimate(shape, spec, work, here, spec.mode, calibration)
        tell(made, run, f"{name}, {'calibrated' if title else 'from configuration alone'}")
        plain = estimate(shape, spec, work, here, spec.mode)
        results[f"{title}memory"] = round(made.bytes / run.done["peak_bytes"], 3)
        results[f"{title}seconds"] = round(made.total_seconds / run.done["seconds"], 3)
        results[f"plain_{title}seconds"] = round(plain.total_seconds / run.done["seconds"], 3)
        calibration = Calibration(
            run.done["peak_bytes"] / plain.bytes, run.done["seconds"] / plain.total_seconds, 1
        )
    del results["plain_seconds"]
    return results


if __name__ == "__main__":
    main()
