"""The training child, spoken to as the worker speaks to it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.data import citation_lines, write_dataset
from workers.engine.files import sha256_of

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "workers.engine.child"]
ENDS = {"done", "failed", "errored", "cancelled"}

Event = dict[str, Any]


class Child:
    """A running child and what it says."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            COMMAND, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def send(self, **message: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def events(self) -> Iterator[Event]:
        """Events up to the end of a run."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event = json.loads(line)
            yield event
            if event["event"] in ENDS:
                return

    def end_input(self) -> int:
        """Close the input and wait for the child to exit; returns its status."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(timeout=60)


@pytest.fixture(scope="module")
def child() -> Iterator[Child]:
    child = Child()
    yield child
    assert child.end_input() == 0


@pytest.fixture
def request_for(tiny_folder: Path, tmp_path: Path) -> Callable[..., Event]:
    """A request to train on the tiny model; parts of it can be replaced."""

    def make(run: str, **parts: Any) -> Event:
        lines = [*citation_lines(8), *citation_lines(2, "heldout", start=50)]
        return {
            "op": "train",
            "run": run,
            "base": str(tiny_folder),
            "dataset": str(write_dataset(tmp_path / "examples.jsonl", lines)),
            "spec": {"rank": 4, "alpha": 8.0, "batch_size": 4},
            "output": str(tmp_path / run),
        } | parts

    return make


@pytest.fixture
def long_run(request_for: Callable[..., Event], tmp_path: Path) -> Event:
    """More steps than fit into a pipe unread: it can't be over before somebody looks."""
    dataset = write_dataset(tmp_path / "long.jsonl", citation_lines(100))
    return request_for(
        "long", dataset=str(dataset), spec={"rank": 4, "epochs": 20, "batch_size": 1, "target": "attention"}
    )


def test_it_trains_two_runs_and_reads_the_base_once(
    request_for: Callable[..., Event], tmp_path: Path
) -> None:
    child = Child()
    child.send(**request_for("first"))
    first = list(child.events())
    child.send(**request_for("second"))
    second = list(child.events())
    assert child.end_input() == 0

    body = ["started", "heldout", "step", "step", "heldout", "done"]
    assert [event["event"] for event in first] == ["loading", *body]
    assert [event["event"] for event in second] == body
    assert {event["run"] for event in first} == {"first"}
    assert {event["run"] for event in second} == {"second"}
    assert first[1] == {
        "event": "started",
        "run": "first",
        "steps": 2,
        "trainable_parameters": second[0]["trainable_parameters"],
        "frozen_parameters": second[0]["frozen_parameters"],
        "train_examples": 8,
        "heldout_examples": 2,
        "train_tokens": second[0]["train_tokens"],
        "truncated_examples": 0,
        "base_loaded_now": True,
    }
    assert second[0]["base_loaded_now"] is False
    step = first[4]
    assert set(step) == {
        *("event", "run", "step", "steps", "loss", "learning_rate", "tokens_per_s", "seconds_left")
    }
    done = first[-1]
    weights = tmp_path / "first" / "adapter_model.safetensors"
    assert done["sha256"] == sha256_of(weights) == second[-1]["sha256"]
    assert done["bytes"] == weights.stat().st_size
    assert done["seconds"] > 0
    assert done["peak_bytes"] > 50e6


def test_a_failed_run_is_a_sentence_and_the_next_one_is_served(
    child: Child, request_for: Callable[..., Event], tmp_path: Path
) -> None:
    nothing = write_dataset(tmp_path / "nothing.jsonl", [])
    child.send(**request_for("empty", dataset=str(nothing)))
    child.send(**request_for("rank", spec={"rank": 128}))
    child.send(**request_for("base", base=str(tmp_path / "nowhere")))
    child.send(**request_for("good"))
    ends = [list(child.events())[-1] for _ in range(4)]
    assert ends[0]["message"] == (
        "The dataset has no training examples: add documents to it, then start again."
    )
    assert ends[1]["message"] == "Rank must be between 4 and 64; 128 was given."
    assert ends[2]["message"] == "The base model nowhere can't be read: prepare it again."
    assert [end["event"] for end in ends] == ["failed", "failed", "failed", "done"]


def test_a_bug_is_told_without_a_word_of_the_documents(
    child: Child, request_for: Callable[..., Event], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"split": "train", "prompt": "privileged and confidential" "completion"}\n')
    child.send(**request_for("broken", dataset=str(broken)))
    (end,) = [event for event in child.events() if event["event"] in ENDS]
    assert end["event"] == "errored"
    assert end["trace"].endswith("JSONDecodeError")
    assert "in read_lines" in end["trace"]
    assert "privileged" not in end["trace"]
    assert str(ROOT) not in end["trace"]


def test_a_cancelled_run_ends_early_and_leaves_nothing(
    child: Child, request_for: Callable[..., Event], long_run: Event, tmp_path: Path
) -> None:
    child.send(**long_run)
    child.send(**request_for("waiting"))
    child.send(op="cancel", run="waiting")
    steps = 0
    for event in child.events():
        if event["event"] == "step":
            steps += 1
            if steps == 1:
                child.send(op="cancel", run="long")
        last = event
    assert last == {"event": "cancelled", "run": "long"}
    assert steps < 2000
    assert list(child.events()) == [{"event": "cancelled", "run": "waiting"}]
    assert {path.suffix for path in tmp_path.iterdir()} == {".jsonl"}


def test_a_late_cancel_does_not_reach_the_run_when_it_is_started_again(
    child: Child, request_for: Callable[..., Event]
) -> None:
    child.send(op="cancel", run="again")
    child.send(**request_for("again"))
    assert list(child.events())[-1]["event"] == "done"


def test_lines_that_are_no_requests_are_passed_over(child: Child, request_for: Callable[..., Event]) -> None:
    assert child.process.stdin is not None
    child.process.stdin.write('not json\n{"op": "dance"}\n[]\n{"op": "train"}\n')
    child.send(**request_for("after"))
    assert list(child.events())[-1]["event"] == "done"


def test_it_exits_when_its_input_ends_in_the_middle_of_a_run(long_run: Event, tmp_path: Path) -> None:
    child = Child()
    child.send(**long_run)
    for event in child.events():
        if event["event"] == "step":
            break
    assert child.end_input() == 0
    assert {path.suffix for path in tmp_path.iterdir()} == {".jsonl"}


@pytest.mark.skipif(sys.platform != "linux", reason="parent-death signals are Linux's")
def test_it_dies_with_its_parent_even_while_its_input_is_open(request_for: Callable[..., Event]) -> None:
    start = f"import subprocess; print(subprocess.Popen({COMMAND!r}).pid, flush=True)\n"
    parent = subprocess.Popen(
        [sys.executable, "-c", start + "import time; time.sleep(600)"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.stdin.write(json.dumps(request_for("bad", spec={"rank": 0})) + "\n")
    parent.stdin.flush()
    assert json.loads(parent.stdout.readline())["event"] == "failed"  # it is up and listening
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 30
    while is_alive(pid):
        assert time.monotonic() < deadline, "the child outlived its parent"
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIG_DFL)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
