"""A pytest plugin that spreads tests over the workers of pytest-xdist.

The longest come first, so that no worker ends with one while the others have nothing left. Tests of a file
stay together, since they share servers; files that carry the same `xdist_group` do too.
"""

from __future__ import annotations

import pytest

LONG = ("flow", "browser", "slow")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_rank)  # a stable sort: within a rank the order stays
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.nodeid.split("::")[0]))


def _rank(item: pytest.Item) -> int:
    return next((rank for rank, name in enumerate(LONG) if item.get_closest_marker(name)), len(LONG))
