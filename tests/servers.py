"""A pytest plugin: the servers of a test run, started before Django reads its settings.

PostgreSQL and Valkey are the embedded ones unless DATABASE_URL and REDIS_URL name others. Only the process
that was started by hand has servers to start: the workers of pytest-xdist inherit its environment.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from webapp.core import embedded

_at_the_end = ExitStack()


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        return
    home = Path(_at_the_end.enter_context(tempfile.TemporaryDirectory(prefix="housestyle-tests-")))
    (home / "static").mkdir()  # looked for by every test client
    os.environ["HOUSESTYLE_HOME"] = str(home)  # documents and secrets of tests never meet a person's own
    try:
        _at_the_end.enter_context(embedded.running(home, durable=False))
    except embedded.ServerError as error:
        _at_the_end.close()
        raise pytest.UsageError(str(error)) from None


def pytest_unconfigure() -> None:
    _at_the_end.close()
