"""A training worker tells what it computes with, and trains as well where it can't."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from tests.models import tiny_model_folder
from webapp.training.models import Device
from workers.tasks import measure_device as module


@pytest.fixture(autouse=True)
def nothing_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_mine", [])


def worker_of(*queues: str) -> Any:
    """What Celery's signal names as its sender."""
    selected = SimpleNamespace(consume_from=dict.fromkeys(queues))
    return SimpleNamespace(app=SimpleNamespace(amqp=SimpleNamespace(queues=selected)))


@pytest.mark.django_db(transaction=True)
def test_what_is_measured_in_a_process_of_its_own_is_kept(settings: Settings, tmp_path: Path) -> None:
    settings.BASE_MODEL_DIR = tiny_model_folder()
    settings.WORK_DIR = tmp_path / "work"
    module.measure()
    device = Device.objects.get()
    assert module.of_this_worker() == device
    assert device.kind in ("cpu", "cuda")
    assert device.host_memory_bytes > 2**30
    assert device.matrix_flops > 1e8
    assert device.read_bytes_per_s > 0
    assert device.free_disk_bytes > 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("command", [("false",), ("true",), ("no-such-program",)])
def test_a_measurement_that_fails_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, command: tuple[str]
) -> None:
    monkeypatch.setattr(module, "COMMAND", command)
    module.measure()
    assert module.of_this_worker() is None
    assert not Device.objects.exists()
    assert "This worker's device could not be measured" in caplog.text


@pytest.mark.parametrize(("queues", "measures"), [(["training"], True), (["documents"], False)])
def test_only_a_worker_that_trains_measures_and_does_not_wait_for_it(
    monkeypatch: pytest.MonkeyPatch, queues: list[str], measures: bool
) -> None:
    going_on, began = threading.Event(), threading.Event()

    def measure() -> None:
        began.set()
        going_on.wait(60)

    monkeypatch.setattr(module, "measure", measure)
    before = set(threading.enumerate())
    module._at_start(sender=worker_of(*queues))
    added = [thread for thread in threading.enumerate() if thread not in before]
    assert len(added) == measures
    assert began.wait(60 if measures else 0) == measures
    going_on.set()
    for thread in added:
        thread.join()
