from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from workers.extraction import Extracted, Limits
from workers.extraction.sandbox import extract_in_child

Read = Callable[..., Extracted]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Read bytes under a name as the worker does: in a child process."""

    def read(data: bytes, name: str, limits: Limits | None = None, depth: int = 0) -> Extracted:
        path = tmp_path / "upload"
        path.write_bytes(data)
        return extract_in_child(path, name, limits, depth=depth)

    return read
