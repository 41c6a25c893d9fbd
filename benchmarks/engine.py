"""The project's own training engine, for benchmarks: the one place that calls it.

A run goes through the training child, in the words that the worker speaks to it, so that what is measured is
what a firm gets: its checkpoints and its events are part of it.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from benchmarks.product import HOME, MODEL, ROOT

Event = dict[str, Any]
Tokens = tuple[list[int], int]  # an example's, and how many of them are its prompt's
Batches = list[list[Tokens]]

BEAT_SECONDS = 5
ENDS = ("done", "failed", "errored", "cancelled", "postponed")


@dataclass(frozen=True)
class Run:
    """What a run said of itself, and when. `peak_bytes` is the most memory its process ever held."""

    events: list[tuple[float, Event]]  # seconds on one clock, event
    peak_bytes: int

    @property
    def started(self) -> Event:
        return next(event for _, event in self.events if event["event"] == "started")

    @property
    def done(self) -> Event:
        return self.events[-1][1]

    @property
    def losses(self) -> list[float]:
        """The training loss of every step."""
        return [event["loss"] for _, event in self.events if event["event"] == "step"]

    @property
    def heldout(self) -> list[float]:
        """The held-out loss each time it was measured: before the first step, and so on to the last."""
        return [event["loss"] for _, event in self.events if event["event"] == "heldout"]

    @property
    def step_seconds(self) -> list[float]:
        """Seconds of every step, with the checkpoints written before it and without measuring."""
        found, waiting = [], 0.0
        for (began, _), (ended, event) in zip(self.events, self.events[1:], strict=False):
            if event["event"] == "step":
                found.append(waiting + ended - began)
            waiting = waiting + ended - began if event["event"] == "checkpoint" else 0.0
        return found

    @property
    def preparing_seconds_a_token(self) -> float:
        """What it takes to make a token's hidden states under the layers that learn (frozen prefix)."""
        seen = [(at, event["done"]) for at, event in self.events if event["event"] == "preparing"]
        (began, before), (ended, after) = seen[0], seen[-1]
        return float((ended - began) / (after - before))


def base_folder() -> Path:
    """The prepared base model; prepares it first where nobody has."""
    folder = HOME / "models" / MODEL
    if not (folder / "config.json").exists():
        command = [sys.executable, "-m", "workers.engine.prepare", "--home", str(HOME)]
        subprocess.run(command, cwd=ROOT, check=True, stdout=sys.stderr)
    return folder


def train(
    base: Path, dataset: Path, spec: dict[str, Any], folder: Path, prompts: Sequence[dict[str, str]] = ()
) -> Run:
    """One run in a child of its own. `folder` gets the `adapter` and what outlives a killed child; `prompts`
    (each with `prompt` and `expected`) are answered whenever it is measured.

    Raises RuntimeError with what the child said when it does not end well.
    """
    command = [sys.executable, "-m", "workers.engine.child"]
    events: list[tuple[float, Event]] = []
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin and child.stdout
        folder.mkdir(parents=True, exist_ok=True)
        request = {
            "op": "train",
            "run": folder.name,
            "base": str(base),
            "dataset": str(dataset),
            "spec": spec,
            "output": str(folder / "adapter"),
            "work": str(folder / "work"),
            "key": base64.b64encode(os.urandom(32)).decode(),
            "prompts": list(prompts),
            "checkpoint_seconds": 30,
        }
        tell = _teller(child.stdin)
        tell(request)
        with _beating(tell, folder.name):
            for line in child.stdout:
                event = json.loads(line)
                events.append((time.monotonic(), event))
                if event["event"] in ENDS:
                    break
        peak = peak_bytes(child.pid)
        child.stdin.close()
    if not events or events[-1][1]["event"] != "done":
        raise RuntimeError(f"The run did not end well: {events[-1][1] if events else 'its process died'}")
    return Run(events, peak)


def _teller(stream: IO[str]) -> Callable[[Event], None]:
    lock = threading.Lock()

    def tell(message: Event) -> None:
        with lock:
            stream.write(json.dumps(message) + "\n")
            stream.flush()

    return tell


@contextmanager
def _beating(tell: Callable[[Event], None], run: str) -> Iterator[None]:
    """Renew the run's lease now and then, as the worker does."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(BEAT_SECONDS):
            tell({"op": "beat", "run": run})

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def peak_bytes(pid: int | str = "self") -> int:
    """The most memory that was ever resident in a living process, mapped files included (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024


def batches(base: Path, dataset: Path, spec: dict[str, Any]) -> Batches:
    """The examples of every step of a run, in its order."""
    from webapp.training.spec import TrainingSpec
    from workers.engine.batches import plan

    steps = plan(_encoded(base, dataset).train, TrainingSpec.parse(spec))
    return [[(list(example.tokens), example.prompt_length) for example in step] for step in steps]


def train_examples(base: Path, dataset: Path) -> list[Tokens]:
    """Every training example, in the order of the file."""
    return [(list(example.tokens), example.prompt_length) for example in _encoded(base, dataset).train]


def heldout_examples(base: Path, dataset: Path) -> list[Tokens]:
    return [(list(example.tokens), example.prompt_length) for example in _encoded(base, dataset).heldout]


def rows_and_labels(steps: Batches, spec: dict[str, Any]) -> tuple[int, int]:
    """Rows that pass through the layers in these steps, and rows that pass through the head.

    Fewer rows than tokens: what the examples of a batch begin with in common is computed once.
    """
    from webapp.training.spec import TrainingSpec
    from workers.engine.batches import Batch, parts
    from workers.engine.examples import Example

    most = TrainingSpec.parse(spec).batch_tokens
    examples = [[Example(tuple(tokens), prompt) for tokens, prompt in step] for step in steps]
    made = [Batch.of(part) for step in examples for part in parts(step, most)]
    return sum(len(batch.tokens) for batch in made), sum(len(batch.labels) for batch in made)


def initial_adapter(base: Path, spec: dict[str, Any], path: Path) -> None:
    """Write the adapter a run with `spec` begins with, named as PEFT names it."""
    from safetensors.torch import save_file

    from webapp.training.spec import TrainingSpec
    from workers.engine.load import load_base

    parsed = TrainingSpec.parse(spec)
    learner = load_base(base, parsed.precision, parsed.mode).learner(parsed)
    named = {f"base_model.model.model.{name}.weight": tensor for name, tensor in learner.tensors().items()}
    save_file({name: tensor.contiguous() for name, tensor in named.items()}, path)


def learning_rates(steps: int, spec: dict[str, Any]) -> list[float]:
    """The learning rate of every step of a run."""
    from webapp.training.spec import TrainingSpec
    from workers.engine.schedule import learning_rate

    parsed = TrainingSpec.parse(spec)
    return [learning_rate(step, steps, parsed) for step in range(1, steps + 1)]


def layers(base: Path) -> int:
    return int(json.loads((base / "config.json").read_text())["num_hidden_layers"])


def top_third(base: Path) -> int:
    """How many layers learn above a frozen prefix."""
    return max(1, round(layers(base) / 3))


def target_modules(spec: dict[str, Any]) -> list[str]:
    from webapp.training.spec import TrainingSpec

    return list(TrainingSpec.parse(spec).target_modules)


def _encoded(base: Path, dataset: Path) -> Any:
    """The dataset in tokens. Raises AssertionError where an example would be cut: peers would not cut it."""
    from webapp.training.spec import TrainingSpec
    from workers.engine.examples import encode, read_lines
    from workers.engine.load import load_base

    encoded = encode(load_base(base, "fp32", "resident"), read_lines(dataset), TrainingSpec().max_length)
    assert not encoded.truncated
    return encoded


def tokens_of(steps: Batches) -> int:
    """Real tokens: those of the examples, without padding."""
    return sum(len(tokens) for step in steps for tokens, _ in step)
