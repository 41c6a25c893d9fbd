"""A training run through the worker's own task and its real child process, on the tiny model."""

from __future__ import annotations

import errno
import hashlib
import json
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError
from pytest_django.fixtures import Settings

from tests.conftest import Firm
from tests.factories import ready_dataset
from tests.models import tiny_model_folder
from webapp.adapters import selectors as adapters
from webapp.core import storage
from webapp.core.errors import Invalid
from webapp.core.jobs import services as jobs
from webapp.core.jobs.models import Job, JobState
from webapp.core.jobs.services import MAX_CLAIMS, Claim
from webapp.core.tenancy import tenant_scope
from webapp.training import costs, selectors, services
from webapp.training.models import CostSample, Device, TrainingRun
from workers.engine.errors import DISK_FULL
from workers.tasks import train_adapter as module
from workers.tasks import training_folder, training_progress
from workers.tasks.train_adapter import train_adapter
from workers.tasks.training_progress import Progress

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def tiny_base(settings: Settings, tmp_path: Path) -> None:
    """The tiny model as the installation's base."""
    folder = tmp_path / "model"
    folder.mkdir()
    for path in tiny_model_folder().iterdir():
        (folder / path.name).symlink_to(path)
    about = {"name": "tiny", "revision": "0" * 64, "chat_template_sha256": "0" * 64}
    (folder / "housestyle.json").unlink(missing_ok=True)
    (folder / "housestyle.json").write_text(json.dumps(about))
    settings.BASE_MODEL_DIR = folder
    settings.CHECKPOINTS_DIR = tmp_path / "checkpoints"  # the other processes of a test run share the home


@pytest.fixture(autouse=True, scope="module")
def one_child() -> Iterator[None]:
    """The child is kept from test to test, as a worker keeps it from run to run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(
            "OMP_NUM_THREADS", "1"
        )  # threads that spin for each other are slow where others work too
        yield
    module._trainer.stop()


def start(firm: Firm, **changes: Any) -> TrainingRun:
    dataset = ready_dataset(firm, by=firm.alice)
    with tenant_scope(firm.tenant.id):
        return services.start(member=firm.alice, dataset=dataset, adapter_name="briefs", changes=changes)


def look(run: TrainingRun) -> TrainingRun:
    with tenant_scope(run.tenant_id):
        return selectors.run(run.tenant_id, run.id)


def test_a_run_becomes_a_version_with_its_numbers(firm: Firm, settings: Settings) -> None:
    run = start(firm, rank=4, epochs=1)
    train_adapter()
    ended = look(run)
    assert (ended.job.state, ended.job.message) == ("succeeded", "")
    assert ended.step == ended.steps == 1
    assert ended.trainable_parameters and ended.frozen_parameters
    assert ended.heldout_before is not None and ended.heldout_after is not None
    with tenant_scope(firm.tenant.id):
        version = adapters.versions(firm.tenant.id).get()
        curve = selectors.curve(ended)
    weights = adapters.folder(version) / "adapter_model.safetensors"
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == version.sha256
    assert weights.stat().st_size == version.size
    assert json.loads((weights.parent / "adapter_config.json").read_text())["r"] == 4
    assert len(curve["train"]) == 1
    assert [step for step, _ in curve["heldout"]] == [0, 1]
    assert ended.mode and ended.precision and ended.best_step == 1
    assert ended.seconds and ended.memory_bytes and ended.peak_bytes
    assert files_left(settings) == [], "neither plain text nor checkpoints are left behind"


def files_left(settings: Settings) -> list[str]:
    return [path.name for path in Path(settings.CHECKPOINTS_DIR).rglob("*") if path.is_file()]


def test_the_same_prompts_are_answered_at_each_measurement(firm: Firm) -> None:
    run = start(firm, epochs=2)
    train_adapter()
    with tenant_scope(firm.tenant.id):
        (asked,) = selectors.answers(look(run))
    assert (asked.prompt, asked.expected) == ("See 539 US 306, 2.", "See 539 U. S. 306, 2."), "held out"
    assert {answer.step for answer in asked.answers} >= {0, 2}
    assert any(answer.text for answer in asked.answers)


def test_what_a_run_cost_is_kept_for_the_next_estimate(firm: Firm) -> None:
    device = Device.objects.create(
        name="here",
        kind="cpu",
        memory_bytes=8 << 30,
        host_memory_bytes=8 << 30,
        matrix_flops=1e11,
        read_bytes_per_s=1e9,
        free_disk_bytes=1 << 30,
    )
    run = start(firm, epochs=1, mode="resident")
    train_adapter()
    sample = CostSample.objects.get()
    assert (sample.device, sample.mode) == (device, "resident")
    assert sample.measured_seconds == pytest.approx(look(run).seconds)
    assert sample.measured_bytes == look(run).peak_bytes


def test_a_run_succeeds_whatever_becomes_of_its_cost(firm: Firm, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(run: TrainingRun, **_: Any) -> None:
        CostSample.objects.create()  # the database refuses it

    monkeypatch.setattr(costs, "record_sample", fail)
    run = start(firm, epochs=1)
    train_adapter()
    assert look(run).job.state == "succeeded"


def test_the_base_stays_loaded_from_run_to_run(firm: Firm) -> None:
    start(firm)
    train_adapter()
    child = module._trainer._child
    run = start(firm)
    train_adapter()
    assert child is not None and module._trainer._child is child
    assert child.poll() is None
    assert look(run).job.state == "succeeded"


@pytest.mark.parametrize("keep", [False, True])
def test_a_cancel_stops_the_run_and_keeps_what_it_is_asked_to(
    firm: Firm, monkeypatch: pytest.MonkeyPatch, settings: Settings, keep: bool
) -> None:
    """The child is halted while the cancel is on its way, or so small a model would be done before it."""
    run = start(firm, epochs=20, evaluations=20)
    take, cancel = Progress.take, module._trainer.cancel

    def ask_to_cancel(progress: Progress, event: dict[str, Any]) -> None:
        take(progress, event)
        if event["event"] == "heldout" and event["best"] and not look(run).job.cancel_requested:
            signal_child(signal.SIGSTOP)
            with tenant_scope(firm.tenant.id):
                services.cancel(member=firm.alice, run=selectors.run(firm.tenant.id, run.id), keep_best=keep)

    def pass_on(run_id: str, *, keep: bool) -> None:
        cancel(run_id, keep=keep)
        signal_child(signal.SIGCONT)

    monkeypatch.setattr(Progress, "take", ask_to_cancel)
    monkeypatch.setattr(module._trainer, "cancel", pass_on)
    train_adapter()
    ended = look(run)
    assert ended.job.state == "cancelled"
    assert ended.step < 20
    with tenant_scope(firm.tenant.id):
        versions = list(adapters.versions(firm.tenant.id))
    assert len(versions) == keep
    for version in versions:
        weights = adapters.folder(version) / "adapter_model.safetensors"
        assert hashlib.sha256(weights.read_bytes()).hexdigest() == version.sha256
        assert ended.best_step and ended.heldout_after is not None
    assert files_left(settings) == []


def signal_child(number: signal.Signals) -> None:
    assert module._trainer._child is not None
    module._trainer._child.send_signal(number)


def killing(monkeypatch: pytest.MonkeyPatch, at: str, times: int) -> None:
    """Kill the trainer at each event `at`, so many times."""
    take, left = Progress.take, iter(range(times))

    def kill(progress: Progress, event: dict[str, Any]) -> None:
        if event["event"] == at and next(left, None) is not None:
            signal_child(signal.SIGKILL)
        take(progress, event)

    monkeypatch.setattr(Progress, "take", kill)


def test_a_child_that_dies_is_replaced_and_its_run_goes_on(
    firm: Firm, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start(firm, epochs=1)
    killing(monkeypatch, at="started", times=1)
    train_adapter()
    ended = look(run)
    assert (ended.job.state, ended.job.epoch, ended.job.attempts) == ("succeeded", 2, 0)
    with tenant_scope(firm.tenant.id):
        assert [step for step, _ in selectors.curve(ended)["heldout"]] == [0, 1]


@pytest.mark.slow
def test_a_run_whose_child_dies_each_time_fails_with_a_sentence(
    firm: Firm, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    run = start(firm)
    with monkeypatch.context() as patch:
        killing(patch, at="started", times=100)
        train_adapter()
    assert (look(run).job.state, look(run).job.epoch) == ("failed", 3)
    assert "its process died" in look(run).job.message
    assert files_left(settings) == []
    again = start(firm)
    train_adapter()
    assert look(again).job.state == "succeeded"


@pytest.mark.slow
def test_a_run_that_got_on_is_not_given_up_for_its_childs_later_deaths(
    firm: Firm, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start(firm, epochs=8, evaluations=8)
    killing(monkeypatch, at="checkpoint", times=MAX_CLAIMS)
    train_adapter()
    ended = look(run)
    assert (ended.job.state, ended.job.epoch) == ("succeeded", MAX_CLAIMS + 1)
    with tenant_scope(firm.tenant.id):
        curve = selectors.curve(ended)
    assert [step for step, _ in curve["train"]] == list(range(1, 9))


def test_what_a_run_says_while_the_database_is_away_is_written_later(
    firm: Firm, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start(firm, epochs=8)
    fence, refusals = jobs.fence, iter(range(4))

    def away(claim: Claim) -> None:
        if next(refusals, None) is not None:
            raise OperationalError
        fence(claim)

    monkeypatch.setattr(jobs, "fence", away)
    monkeypatch.setattr(training_progress, "AWAY_SECONDS", 0.0)
    train_adapter()
    ended = look(run)
    assert (ended.job.state, ended.job.epoch) == ("succeeded", 1)
    with tenant_scope(firm.tenant.id):
        curve = selectors.curve(ended)
    assert [step for step, _ in curve["train"]] == list(range(1, 9))


def test_a_worker_that_lost_the_run_leaves_its_successors_files_alone(
    firm: Firm, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    run = start(firm)
    take = Progress.take
    theirs = storage.checkpoint_dir(firm.tenant.id, run.id) / "examples-7.jsonl"

    def lose(progress: Progress, event: dict[str, Any]) -> None:
        if event["event"] == "started":
            with tenant_scope(firm.tenant.id):
                Job.objects.filter(id=run.job_id).update(epoch=7)
            theirs.write_text("theirs")
        take(progress, event)

    monkeypatch.setattr(Progress, "take", lose)
    train_adapter()
    assert look(run).job.state == "running"
    assert theirs.exists()
    assert not [name for name in files_left(settings) if name.startswith("examples-1")], "only its own"
    with tenant_scope(firm.tenant.id):
        assert selectors.curve(run) == {"train": [], "heldout": []}
        assert not adapters.versions(firm.tenant.id).exists()


def test_a_disk_that_is_full_lets_the_run_wait(firm: Firm, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(folder: training_folder.RunFolder, to: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    run = start(firm)
    with monkeypatch.context() as patch:
        patch.setattr(training_folder.RunFolder, "publish_adapter", full)
        train_adapter()
    waiting = look(run).job
    assert (waiting.state, waiting.message) == (JobState.QUEUED, DISK_FULL)
    assert waiting.not_before is not None
    with tenant_scope(firm.tenant.id):
        assert not adapters.versions(firm.tenant.id).exists()
        Job.objects.filter(id=waiting.id).update(not_before=None)
    train_adapter()
    assert look(run).job.state == "succeeded"
    with tenant_scope(firm.tenant.id):
        version = adapters.versions(firm.tenant.id).get()
    assert (adapters.folder(version) / "adapter_config.json").exists()


def test_folders_that_belong_to_no_unfinished_run_are_swept(firm: Firm, settings: Settings) -> None:
    waiting, cancelled = start(firm), start(firm)
    root = Path(settings.CHECKPOINTS_DIR)
    for run_id in (waiting.id, cancelled.id, uuid.uuid4()):
        folder = storage.checkpoint_dir(firm.tenant.id, run_id)
        (folder / "checkpoints").mkdir(parents=True)
        (folder / "checkpoints" / "sealed").write_text("sealed")
        (folder / "examples-1.jsonl").write_text("plain")
    (root / "lost+found").mkdir()
    with tenant_scope(firm.tenant.id):
        services.cancel(member=firm.alice, run=cancelled)
    training_folder.sweep()
    assert files_left(settings) == ["sealed"], "of the run that waits, without what was plain"


def test_a_base_that_was_replaced_is_noticed(firm: Firm, settings: Settings) -> None:
    run = start(firm)
    about = {"name": "tiny", "revision": "1" * 64, "chat_template_sha256": "0" * 64}
    (Path(settings.BASE_MODEL_DIR) / "housestyle.json").write_text(json.dumps(about))
    train_adapter()
    assert look(run).job.state == "failed"
    assert "replaced" in look(run).job.message


def test_a_rank_that_cannot_be_served_is_refused_before_it_is_queued(firm: Firm) -> None:
    with pytest.raises(Invalid, match="Rank must be between 4 and 64"):
        start(firm, rank=128)
    with tenant_scope(firm.tenant.id):
        assert not Job.objects.filter(kind="train").exists()
