"""Arithmetic outside the engine's thread, without slowing it down."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


def in_passing_thread(work: Callable[[], Result]) -> Result:
    """The result of `work`, done in a thread that ends with it; exceptions pass through.

    OpenMP keeps a team of helpers for every thread that ever did parallel arithmetic, for as long as that
    thread lives. Beside a second team it takes the cores for overbooked and puts helpers to sleep at every
    wait, and decode steps last nearly twice as long. So only the engine's own thread may keep a team.
    """
    with ThreadPoolExecutor(max_workers=1) as passing:
        return passing.submit(work).result()
