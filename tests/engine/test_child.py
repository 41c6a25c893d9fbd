"""The training child, spoken to as the worker speaks to it."""

from __future__ import annotations

import base64
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
ENDS = {"done", "failed", "errored", "cancelled", "postponed"}

Event = dict[str, Any]


class Child:
    """A running child and what it says."""

    def __init__(self, command: list[str] = COMMAND) -> None:
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
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
            "work": str(tmp_path.with_name(f"{tmp_path.name}-work") / run),
            "key": base64.b64encode(bytes(32)).decode(),
            "prompts": [{"prompt": "See 530 US 1.", "expected": "See 530 U. S. 1."}],
            "checkpoint_seconds": 0,
        } | parts

    return make


@pytest.fixture
def long_run(request_for: Callable[..., Event], tmp_path: Path) -> Event:
    """More steps than fit into a pipe unread: it can't be over before somebody looks."""
    lines = [*citation_lines(100), *citation_lines(1, "heldout", start=200)]
    dataset = write_dataset(tmp_path / "long.jsonl", lines)
    settings = {"rank": 4, "epochs": 20, "batch_size": 1, "target": "attention", "evaluations": 100}
    return request_for("long", dataset=str(dataset), spec=settings, checkpoint_seconds=3600)


def test_it_trains_two_runs_and_reads_the_base_once(
    request_for: Callable[..., Event], tmp_path: Path
) -> None:
    child = Child()
    child.send(**request_for("first"))
    first = list(child.events())
    child.send(**request_for("second"))
    second = list(child.events())
    assert child.end_input() == 0

    measured = ["heldout", "answers", "checkpoint"]
    body = ["started", "heldout", "answers", "step", *measured, "step", *measured, "done"]
    assert [event["event"] for event in first] == ["loading", *body]
    assert [event["event"] for event in second] == body
    assert {event["run"] for event in first} == {"first"}
    assert {event["run"] for event in second} == {"second"}
    assert first[1] == {
        "event": "started",
        "run": "first",
        "step": 0,
        "steps": 2,
        "mode": "resident",
        "precision": "fp32",
        "trainable_parameters": second[0]["trainable_parameters"],
        "frozen_parameters": second[0]["frozen_parameters"],
        "train_examples": 8,
        "heldout_examples": 2,
        "train_tokens": second[0]["train_tokens"],
        "truncated_examples": 0,
        "points": [],
        "answers": [],
        "best_step": None,
    }
    step = first[4]
    assert set(step) == {
        *("event", "run", "step", "steps", "loss", "learning_rate", "tokens_per_s", "seconds_left"),
        "memory_bytes",
    }
    done = first[-1]
    weights = tmp_path / "first" / "adapter_model.safetensors"
    assert done["sha256"] == sha256_of(weights) == second[-1]["sha256"]
    assert done["bytes"] == weights.stat().st_size
    assert done["seconds"] > 0
    assert done["peak_bytes"] > 50e6
    assert done["best_step"] in (1, 2) and done["stopped_early"] is False


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


def test_a_cancelled_run_keeps_its_best_when_asked(child: Child, long_run: Event, tmp_path: Path) -> None:
    child.send(**long_run)
    best = None
    for event in child.events():
        if event["event"] == "heldout" and event["best"] and best is None:
            best = event["step"]
            child.send(op="cancel", run="long", keep=True)
        last = event
    assert last["event"] == "cancelled" and last["best_step"] >= best
    assert last["sha256"] == sha256_of(tmp_path / "long" / "adapter_model.safetensors")


def test_a_run_whose_child_was_killed_goes_on_in_another(
    request_for: Callable[..., Event], tmp_path: Path
) -> None:
    settings = {"rank": 4, "alpha": 8.0, "batch_size": 1, "epochs": 2}
    child = Child()
    child.send(**request_for("killed", spec=settings))
    for event in child.events():
        if event["event"] == "checkpoint" and event["step"] == 5:
            child.process.kill()
            break
    child.process.wait()
    another = Child()
    another.send(**request_for("killed", spec=settings))
    events = list(another.events())
    another.send(**request_for("undisturbed", spec=settings))
    undisturbed = list(another.events())
    assert another.end_input() == 0
    [started] = [event for event in events if event["event"] == "started"]
    assert started["step"] >= 5
    assert events[-1]["sha256"] == undisturbed[-1]["sha256"]
    curve = [(split, step) for split, step, _ in started["points"]]
    assert ("heldout", 0) in curve and ("train", 5) in curve
    assert started["answers"][0]["step"] == 0


def test_a_child_whose_worker_falls_silent_writes_nothing_more(
    request_for: Callable[..., Event], long_run: Event, tmp_path: Path
) -> None:
    """The worker was halted, and another may have the run by now."""
    child = Child([sys.executable, "-c", IMPATIENT])
    child.send(**long_run)
    child.send(op="beat", run="long")
    events = list(child.events())
    assert child.process.wait(timeout=60) == 1
    assert events[-1]["event"] not in ENDS
    assert not (tmp_path / "long").exists()


IMPATIENT = "from workers.engine import child; child.SILENCE_SECONDS = 1.0; child.main()"


def test_a_full_disk_postpones_a_run(child: Child, request_for: Callable[..., Event]) -> None:
    """/dev/full stands for it: what is written there finds no space left."""
    request = request_for("full", spec={"rank": 4, "layers": 1})
    prefix = Path(request["work"]) / "prefix"
    prefix.mkdir(parents=True)
    for place in range(10):
        (prefix / f"{place:08d}.part").symlink_to("/dev/full")
    child.send(**request)
    assert list(child.events())[-1] == {
        "event": "postponed",
        "run": "full",
        "message": "The disk is full: the run goes on by itself once there is room.",
        "seconds": 30,
    }


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
