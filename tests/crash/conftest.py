from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.crash.site import Result, Site, site


@pytest.fixture(scope="package")
def whole_site(django_db_blocker: Any) -> Iterator[Site]:
    # A short name: the database's socket lies in it.
    with (
        tempfile.TemporaryDirectory(prefix="hs-crash-") as folder,
        django_db_blocker.unblock(),
        site(Path(folder)) as made,
    ):
        yield made


@pytest.fixture
def crash_site(whole_site: Site) -> Iterator[Site]:
    yield whole_site
    whole_site.end_all()


@pytest.fixture(scope="package")
def undisturbed(whole_site: Site) -> Result:
    """What a run comes to when nothing happens to it."""
    whole_site.need_workers()
    run = whole_site.start()
    whole_site.finish(run)
    return whole_site.result(run)
