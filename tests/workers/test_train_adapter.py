"""A training run through the worker's own task and its real child process, on the tiny model."""

from __future__ import annotations

import hashlib
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from tests.conftest import Firm
from tests.factories import ready_dataset
from tests.models import tiny_model_folder
from webapp.adapters import selectors as adapters
from webapp.core.errors import Invalid
from webapp.core.jobs.models import Job
from webapp.core.tenancy import tenant_scope
from webapp.training import selectors, services
from webapp.training.models import TrainingRun
from workers.tasks import train_adapter as module
from workers.tasks.train_adapter import train_adapter

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
    settings.WORK_DIR = tmp_path / "work"  # its own: the other processes of a test run share the home


@pytest.fixture(autouse=True, scope="module")
def one_child() -> Iterator[None]:
    """The child is kept from test to test, as a worker keeps it from run to run."""
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
    run = start(firm, rank=4)
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
    assert list(Path(settings.WORK_DIR).iterdir()) == [], "no plain text of the firm is left behind"


def test_the_base_stays_loaded_from_run_to_run(firm: Firm) -> None:
    start(firm)
    train_adapter()
    child = module._trainer._child
    run = start(firm)
    train_adapter()
    assert child is not None and module._trainer._child is child
    assert child.poll() is None
    assert look(run).job.state == "succeeded"


def test_a_cancel_stops_the_run_and_keeps_no_version(firm: Firm, monkeypatch: pytest.MonkeyPatch) -> None:
    """The child is halted while the cancel is on its way, or so small a model would be done before it."""
    run = start(firm, epochs=20)
    take, cancel = module.Progress.take, module._trainer.cancel

    def ask_to_cancel(progress: module.Progress, event: dict[str, Any]) -> None:
        if event["event"] == "started":
            signal_child(signal.SIGSTOP)
            with tenant_scope(firm.tenant.id):
                services.cancel(member=firm.alice, run=selectors.run(firm.tenant.id, run.id))
        take(progress, event)

    def pass_on(run_id: str) -> None:
        cancel(run_id)
        signal_child(signal.SIGCONT)

    monkeypatch.setattr(module.Progress, "take", ask_to_cancel)
    monkeypatch.setattr(module._trainer, "cancel", pass_on)
    train_adapter()
    assert look(run).job.state == "cancelled"
    assert look(run).step < 20
    with tenant_scope(firm.tenant.id):
        assert not adapters.versions(firm.tenant.id).exists()


def signal_child(number: signal.Signals) -> None:
    assert module._trainer._child is not None
    module._trainer._child.send_signal(number)


def test_a_child_that_dies_fails_its_run_with_a_sentence_and_is_replaced(
    firm: Firm, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start(firm)
    take = module.Progress.take

    def kill_once(progress: module.Progress, event: dict[str, Any]) -> None:
        if event["event"] == "started":
            signal_child(signal.SIGKILL)
        take(progress, event)

    with monkeypatch.context() as patch:
        patch.setattr(module.Progress, "take", kill_once)
        train_adapter()
    assert look(run).job.state == "failed"
    assert "its process died" in look(run).job.message
    again = start(firm)
    train_adapter()
    assert look(again).job.state == "succeeded"


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
