from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def plain_file(data: bytes) -> Iterator[Path]:
    """A firm's file for a parser, which reads plain ones: it lives only as long as the reading, where only
    this user can see it."""
    with tempfile.TemporaryDirectory(prefix="housestyle-") as folder:
        path = Path(folder) / "file"
        path.write_bytes(data)
        yield path
