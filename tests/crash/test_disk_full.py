"""The disk is full in the middle of a run.

A file system of 2 MB in memory stands for the disk, mounted where runs keep their checkpoints: only a real
one refuses a write in the middle, and lets it be when there is room again. (A limit on file sizes, which
needs no rights, is another error, of which no product is told “wait”.) Where this process may not mount
anything, the test is left out; what the worker does with the error is then tested in
tests/workers/test_train_adapter.py alone.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.site import Result, Site
from webapp.training.models import TrainingRun
from workers.engine.errors import DISK_FULL

pytestmark = [pytest.mark.xdist_group("crash"), pytest.mark.slow]


@pytest.fixture
def small_disk(crash_site: Site) -> Iterator[Path]:
    folder = crash_site.home / "storage" / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("this process may not mount a file system")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_run_waits_for_room_on_the_disk_and_is_the_undisturbed_one(
    crash_site: Site, undisturbed: Result, small_disk: Path
) -> None:
    crash_site.need_workers()
    ballast = small_disk / "ballast"

    def fill() -> None:
        with ballast.open("ab", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * 4096)
            except OSError:
                return

    def full_and_noticed(found: TrainingRun) -> bool:
        fill()  # again and again: a checkpoint that was just replaced makes room
        return "The disk is full" in found.notice

    run = crash_site.start()
    crash_site.wait(run, lambda found: found.checkpoint_step is not None)
    crash_site.wait(run, full_and_noticed)
    waiting = crash_site.wait(run, lambda found: found.job.state == "queued")
    assert waiting.job.message == DISK_FULL
    assert waiting.step == waiting.steps, "it learnt on as long as it could"

    ballast.unlink()
    crash_site.let_it_be_time(run)
    crash_site.wait(run, lambda found: found.job.state != "queued")
    crash_site.finish(run)
    assert crash_site.result(run) == undisturbed
