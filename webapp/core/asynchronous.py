"""Database work of asynchronous views, which stream answers for minutes and must hold nothing meanwhile."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.db import InterfaceError, OperationalError, connection

P = ParamSpec("P")
T = TypeVar("T")

# For so long after its last use a connection is not asked whether it still is one.
TRUSTED_SECONDS = 1.0
_last = threading.local()
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
            pool, lambda: context.run(lambda: _with_live_connection(work, *args, **kwargs))
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
    idle = time.monotonic() - getattr(_last, "used", 0.0)
    if connection.connection is not None and idle > TRUSTED_SECONDS and not connection.is_usable():
        connection.close()
    try:
        return work(*args, **kwargs)
    except (InterfaceError, OperationalError):
        connection.close()  # the next work makes a new one
        raise
    finally:
        _last.used = time.monotonic()
