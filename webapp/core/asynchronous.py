"""Database work of asynchronous views, which stream answers for minutes and must hold nothing meanwhile."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.db import connection

P = ParamSpec("P")
T = TypeVar("T")

_pool: ThreadPoolExecutor | None = None


def keep_connections(threads: int) -> None:
    """From now on such work is done in `threads` threads, each with one connection that stays open.

    For the web process: under ASGI each request has a thread of its own otherwise, which would connect anew
    for each piece of work, in longer than most of it takes. However many answers stream, there are so many
    connections.
    """
    global _pool
    _pool = ThreadPoolExecutor(threads, thread_name_prefix="database")


def in_database(work: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """`work` in a thread that may use the database, which holds no transaction after it."""
    if _pool is None:
        return sync_to_async(_closing(work))
    pool = _pool

    async def pooled(*args: P.args, **kwargs: P.kwargs) -> T:
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(
            pool, lambda: context.run(_with_live_connection, work, *args, **kwargs)
        )

    return pooled


def _closing(work: Callable[P, T]) -> Callable[P, T]:
    @wraps(work)
    def working(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return work(*args, **kwargs)
        finally:
            if not connection.in_atomic_block:  # as in a test, whose transaction outlives the request
                connection.close()

    return working


def _with_live_connection(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The database may have been started anew since this thread last used it."""
    if connection.connection is not None and not connection.is_usable():
        connection.close()
    return work(*args, **kwargs)
