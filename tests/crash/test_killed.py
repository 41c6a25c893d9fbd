"""A worker that ends at any moment, killed or asked to: the run is what it would have been."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from tests.crash.site import WAIT_SECONDS, Result, Site
from webapp.training.models import Phase, TrainingRun

pytestmark = [pytest.mark.xdist_group("crash"), pytest.mark.slow]


def test_a_run_whose_worker_is_killed_again_and_again_is_the_undisturbed_one(
    crash_site: Site, undisturbed: Result
) -> None:
    run = crash_site.start()

    def loading(found: TrainingRun) -> bool:
        return found.job.state == "running"

    def evaluating(found: TrainingRun) -> bool:
        return found.phase == Phase.BEFORE

    def a_checkpoint_is_half_written(found: TrainingRun) -> bool:
        return found.step >= 20 and any((crash_site.folder(run) / "checkpoints").glob(".*"))

    def saving(found: TrainingRun) -> bool:
        return found.phase == Phase.SAVING

    moments: list[Callable[[TrainingRun], bool]] = [
        loading,
        evaluating,
        a_checkpoint_is_half_written,
        saving,
    ]
    for moment in moments:
        crash_site.need_workers()
        crash_site.wait(run, moment)
        crash_site.holder(run).kill()
        crash_site.let_lease_run_out(run)
    assert list(crash_site.folder(run).glob("examples-*.jsonl")), "what the killed worker left in plain"

    crash_site.need_workers()
    crash_site.wait(run, loading)
    crash_site.finish(run)
    assert crash_site.result(run) == undisturbed
    assert crash_site.look(run).job.epoch == len(moments) + 1


def test_a_worker_that_is_asked_to_end_gives_its_run_back_at_once(
    crash_site: Site, undisturbed: Result
) -> None:
    crash_site.need_workers()
    run = crash_site.start()
    crash_site.wait(run, lambda found: found.step >= 10)
    worker = crash_site.holder(run)
    worker.send(signal.SIGTERM)
    waiting = crash_site.wait(run, lambda found: found.job.state == "queued", relaying=False)
    assert (waiting.job.epoch, waiting.job.attempts) == (1, 0), "no lease had to run out, and nothing failed"
    assert worker.process.wait(WAIT_SECONDS) == 0

    crash_site.need_workers()
    crash_site.wait(run, lambda found: found.job.state == "running")
    crash_site.finish(run)
    assert crash_site.result(run) == undisturbed
