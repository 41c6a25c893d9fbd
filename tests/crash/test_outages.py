"""The broker or the database goes away in the middle of a run and comes back."""

from __future__ import annotations

import pytest

from tests.crash.site import SHORT_RUN, Result, Site

pytestmark = [pytest.mark.xdist_group("crash"), pytest.mark.slow]


def test_a_broker_that_restarts_costs_the_run_nothing_and_the_worker_hears_the_new_one(
    crash_site: Site, undisturbed: Result
) -> None:
    workers = crash_site.need_workers()
    run = crash_site.start()
    crash_site.wait(run, lambda found: found.step >= 10)
    crash_site.restart_broker(away_seconds=2)
    crash_site.finish(run)
    assert crash_site.result(run) == undisturbed
    assert crash_site.look(run).job.epoch == 1

    after = crash_site.start(**SHORT_RUN)
    crash_site.finish(after)
    crash_site.result(after)
    assert crash_site.alive() == workers, "the same processes, which were never told"


def test_a_database_that_restarts_ends_no_run_and_loses_no_step_of_it(
    crash_site: Site, undisturbed: Result
) -> None:
    workers = crash_site.need_workers()
    run = crash_site.start()
    crash_site.wait(run, lambda found: found.step >= 10)
    crash_site.restart_database(away_seconds=3)
    crash_site.finish(run)
    assert crash_site.result(run) == undisturbed
    assert crash_site.look(run).job.epoch == 1
    assert crash_site.alive() == workers
    assert f"The progress of run {run.id} waits" in "".join(worker.log.read_text() for worker in workers)
