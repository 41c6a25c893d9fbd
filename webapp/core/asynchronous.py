"""Database work of asynchronous views, which stream answers for minutes and must hold nothing meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.db import connection

P = ParamSpec("P")
T = TypeVar("T")


def in_database(work: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """`work` in the request's own thread, its connection closed after it instead of at the answer's end."""

    def working(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return work(*args, **kwargs)
        finally:
            if not connection.in_atomic_block:  # as in a test, whose transaction outlives the request
                connection.close()

    return sync_to_async(working)
