"""A worker that is halted for longer than its lease, as a machine that sleeps is, and then goes on."""

from __future__ import annotations

import re
import signal
import time

import pytest

from tests.crash.site import WAIT_SECONDS, Result, Site

pytestmark = [pytest.mark.xdist_group("crash"), pytest.mark.slow]

TOLD = re.compile("another worker's now|no longer held")


def test_it_writes_nothing_into_the_run_that_another_took_over(crash_site: Site, undisturbed: Result) -> None:
    """Half a minute, in truth: its trainer must have fallen silent before the lease runs out."""
    crash_site.need_workers(2)
    run = crash_site.start()
    crash_site.wait(run, lambda found: found.step >= 10)
    halted = crash_site.holder(run)
    told_before = len(TOLD.findall(halted.log.read_text()))
    halted.send(signal.SIGSTOP)
    crash_site.wait(run, lambda found: found.job.epoch == 2 and found.job.state == "running")
    crash_site.finish(run)
    after = crash_site.result(run)

    halted.send(signal.SIGCONT)
    deadline = time.monotonic() + WAIT_SECONDS
    while len(TOLD.findall(halted.log.read_text())) == told_before:
        assert time.monotonic() < deadline, halted.log.read_text()
        time.sleep(0.1)
    assert crash_site.result(run) == after == undisturbed
    assert crash_site.look(run).job.epoch == 2
