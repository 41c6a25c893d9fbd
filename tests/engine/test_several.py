"""One run in two processes, as on two GPUs, with the numbers of one process. On the CPU, through gloo."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from safetensors.torch import load_file

from tests.engine.data import citation_lines, write_dataset
from tests.engine.learners import assert_close, fill, nothing, take_gradients
from tests.engine.together import EXAMPLES, SPEC
from webapp.training.spec import TrainingSpec
from workers.engine.errors import EngineError
from workers.engine.events import EVENT_NAMES, Answers, Checkpoint, HeldOut, Step
from workers.engine.examples import encode, read_lines
from workers.engine.general.base import GeneralBase
from workers.engine.general.sharded import ShardedBase
from workers.engine.ranks import Ranks
from workers.engine.sealed import Sealer
from workers.engine.trainer import Trainer, Work
from workers.trainer_command import child_command

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PROCESSES = 2
ENDS = {"done", "failed", "errored", "postponed", "cancelled"}
Event = dict[str, Any]
# What `accelerate launch` itself uses.
LAUNCHER = (sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={PROCESSES}")


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", **more}


@pytest.mark.parametrize("fsdp", [True, False])
def test_loss_and_gradients_are_those_of_one_process(fsdp: bool, tiny_folder: Path, tmp_path: Path) -> None:
    words = [*LAUNCHER, "-m", "tests.engine.together", str(tiny_folder), str(tmp_path)]
    said = environment(ACCELERATE_USE_FSDP=str(fsdp).lower())
    subprocess.run(words, cwd=ROOT, env=said, check=True)
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(PROCESSES))

    base = GeneralBase.load(tiny_folder, "fp32", "resident", "cpu")
    examples = encode(base, list(citation_lines(EXAMPLES)), 512).train
    learner = base.learner(TrainingSpec.parse(SPEC))
    fill(learner)
    assert first["heldout"] == pytest.approx(learner.heldout_loss(examples, nothing), rel=1e-6)
    assert first["again"] == pytest.approx(learner.heldout_loss(examples[:1], nothing), rel=1e-6)
    assert first["loss"] == pytest.approx(learner.learn(examples, 1), rel=1e-6)
    expected = take_gradients(learner)
    mine, others = (load_file(tmp_path / f"{rank}.safetensors") for rank in range(PROCESSES))
    assert_close(mine, expected)
    assert all(mine[name].equal(others[name]) for name in mine), "they would drift apart"
    assert {key: first[key] for key in ("heldout", "loss", "turns", "agreed")} == {
        key: second[key] for key in ("heldout", "loss", "turns", "agreed")
    }
    assert first["agreed"] == "said by 0"
    assert {first["counting"], second["counting"]} != {first["turns"]}, "one has less to do, and goes along"
    assert first["ranks"] == PROCESSES
    layers: Any = base.model.base_model.layers
    whole = sum(parameter.numel() for parameter in layers.parameters())
    assert first["frozen"] == (whole / PROCESSES if fsdp else whole)


@pytest.mark.parametrize(("precision", "mode"), [("fp16", "auto"), ("auto", "nf4"), ("auto", "streamed")])
def test_what_several_gpus_cannot_do_together_is_said(precision: str, mode: str, tiny_folder: Path) -> None:
    with pytest.raises(EngineError, match="choose the mode “resident” and the precision “auto”"):
        ShardedBase.load_for(Ranks(count=2), tiny_folder, precision, mode)


def test_a_process_by_itself_is_alone() -> None:
    ranks = Ranks.join()
    assert (ranks.first, ranks.several, ranks.agree("word")) == (True, False, "word")


class Child:
    """The training child in two processes, started as a worker of two GPUs starts it, and what they say."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            child_command({"HOUSESTYLE_TRAINING_DEVICE": "0+1"}),
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def send(self, **message: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def events(self) -> Iterator[Event]:
        """Up to the end of a run, or of the child."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event = json.loads(line)
            yield event
            if event["event"] in ENDS:
                return

    def end_input(self) -> int:
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(timeout=120)


@pytest.fixture
def request_for(tiny_folder: Path, tmp_path: Path) -> Callable[..., Event]:
    dataset = write_dataset(
        tmp_path / "examples.jsonl", [*citation_lines(9), *citation_lines(3, "heldout", start=50)]
    )

    def make(run: str, **spec: Any) -> Event:
        return {
            "op": "train",
            "run": run,
            "base": str(tiny_folder),
            "dataset": str(dataset),
            "spec": {"rank": 4, "alpha": 8.0, "batch_size": 4, "precision": "fp32", "evaluations": 2, **spec},
            "output": str(tmp_path / run),
            "work": str(tmp_path / f"{run}-work"),
            "key": base64.b64encode(bytes(32)).decode(),
            "prompts": [{"prompt": "See 1 US 1.", "expected": "", "context": []}],
            "checkpoint_seconds": 0,
        }

    return make


def one_process(request: Event) -> list[Any]:
    """The events of the same run on the same path, in this process."""
    base = GeneralBase.load(Path(request["base"]), "fp32", "resident", "cpu")
    spec = TrainingSpec.parse(request["spec"])
    dataset = encode(base, read_lines(Path(request["dataset"])), spec.max_length)
    work = Work(Path(request["work"]), Sealer(base64.b64decode(request["key"])), 0)
    events: list[Any] = []
    Trainer(base, dataset, spec, work=work, report=events.append, check=nothing).run()
    return events


def test_two_processes_train_cancel_and_go_on_as_one_does(
    request_for: Callable[..., Event], tmp_path: Path
) -> None:
    alone = one_process(request_for("alone", epochs=2))
    expected = [event for event in alone if not isinstance(event, (Checkpoint, Answers))]

    together = Child()
    together.send(**request_for("together", epochs=2))
    found = list(together.events())
    assert [event["event"] for event in found if event["event"] != "checkpoint"] == [
        *("loading", *(EVENT_NAMES[type(event)] for event in expected), "done")
    ], "the second process says nothing"
    said = [event for event in found if event["event"] in ("step", "heldout")]
    wanted = [event for event in expected if isinstance(event, (Step, HeldOut))]
    for event, same in zip(said, wanted, strict=True):
        assert event["step"] == same.step
        assert event["loss"] == pytest.approx(same.loss, rel=1e-5)
    assert found[-1]["best_step"] == max(event.step for event in wanted if isinstance(event, HeldOut))
    assert found[-1]["bytes"] == (tmp_path / "together" / "adapter_model.safetensors").stat().st_size

    # The next run of the same two processes: cancelled, and its best adapter kept.
    together.send(**request_for("cancelled", epochs=20, batch_size=1, evaluations=20))
    seen: list[Event] = []
    for event in together.events():
        seen.append(event)
        if event["event"] == "heldout" and event["best"] and event["step"] < 50:
            together.send(op="cancel", run="cancelled", keep=True)
    assert seen[-1]["event"] == "cancelled"
    assert seen[-1]["bytes"] == (tmp_path / "cancelled" / "adapter_model.safetensors").stat().st_size
    assert seen[-1]["best_step"] > 0

    # One of the two is killed: all end, and others go on from where it was saved.
    together.send(**request_for("killed", epochs=20, batch_size=1))
    saved = 0
    for event in together.events():
        if event["event"] == "checkpoint" and event["step"] >= 3:
            saved = event["step"]
            psutil.Process(together.process.pid).children()[1].kill()
            break
    assert not [event for event in together.events() if event["event"] in ENDS]
    assert together.process.wait(60) != 0

    again = Child()
    again.send(**request_for("killed", epochs=20, batch_size=1))
    started = next(event for event in again.events() if event["event"] == "started")
    assert started["step"] >= saved
    again.send(op="cancel", run="killed", keep=False)
    assert list(again.events())[-1] == {"run": "killed", "event": "cancelled"}
    assert again.end_input() == 0


@pytest.mark.parametrize("so_far", ["", "loading"])
def test_no_process_outlives_its_launcher(so_far: str, request_for: Callable[..., Event]) -> None:
    """As the worker ends a child that it gives up: while it starts, or in the middle of a run."""
    child = Child()
    launcher = psutil.Process(child.process.pid)
    if so_far:
        child.send(**request_for("given-up", epochs=20, batch_size=1))
        assert next(child.events())["event"] == so_far
    while len(ranks := launcher.children()) < PROCESSES:
        assert child.process.poll() is None
        time.sleep(0.1)
    time.sleep(0.5)  # to begin at all
    child.process.kill()
    child.process.wait()
    _, alive = psutil.wait_procs(ranks, timeout=30)
    assert alive == []
