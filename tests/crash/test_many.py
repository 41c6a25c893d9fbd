"""Several workers and many runs."""

from __future__ import annotations

import pytest

from tests.crash.site import SHORT_RUN, Site

pytestmark = [pytest.mark.xdist_group("crash"), pytest.mark.slow]


def test_two_workers_train_each_of_ten_runs_once(crash_site: Site) -> None:
    firms = [crash_site.firm(number) for number in range(2)]
    crash_site.need_workers(2)
    runs = [crash_site.start(firms[number % 2], **SHORT_RUN) for number in range(10)]
    ended = crash_site.finish(*runs)
    results = [crash_site.result(run) for run in runs]
    assert len({result.adapter for result in results}) == 1, "the same work gives the same bytes"
    assert {run.job.epoch for run in ended} == {1}
    assert len({run.job.worker for run in ended}) == 2, "both took part"


def test_a_firm_with_twenty_queued_runs_does_not_hold_up_anothers_first(crash_site: Site) -> None:
    busy, other = crash_site.firm(0), crash_site.firm(1)
    crash_site.need_workers()
    theirs = [crash_site.start(busy, **SHORT_RUN) for _ in range(20)]
    first = crash_site.start(other, **SHORT_RUN)
    began = crash_site.wait(first, lambda found: found.job.has_ended).job.started_at
    assert began is not None
    starts = [crash_site.look(run).job.started_at for run in theirs]
    between = [start for start in starts if start is not None and first.job.queued_at < start < began]
    assert len(between) <= 1
    assert None in starts, "others of the busy firm still wait"
