"""Who uses which slot of a vLLM: counted in Redis, because several processes load into the same one.

A vLLM whose last slot is taken answers base requests wrongly on some backends ("no adapter" is index -1, read
as the last slot), so nothing here may be approximate: loads into one replica happen one after the other, a
load whose end nobody saw counts as loaded, and an adapter that a request uses is never unloaded. All of that
fails closed when Redis is away.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import redis
import redis.asyncio
from django.conf import settings

from webapp.core.errors import Unavailable
from webapp.serving.engine.calls import LOAD_SECONDS, SECONDS
from webapp.serving.engine_settings import Replica

AWAY = "The model engine cannot be asked while Redis is away; try again in a minute."
HOLD_SECONDS = LOAD_SECONDS + 4 * SECONDS  # longer than everything that is done while it is held
WAIT_SECONDS = 60.0
USE_SECONDS = 1800  # a request whose process died counts as under way for so long
COMING_SECONDS = 300  # and a load whose end nobody saw as loaded
LEAVING_SECONDS = 60
NOTE_SECONDS = 60

_BEGIN = """
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
local now = tonumber(redis.call('TIME')[1])
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[3])
redis.call('ZADD', KEYS[3], now, ARGV[2])
return 1
"""
_END = """
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[2], tonumber(redis.call('TIME')[1]), ARGV[2])
return 1
"""
_LEAVE = """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', tonumber(redis.call('TIME')[1]))
if redis.call('ZCARD', KEYS[1]) > 0 then return 0 end
redis.call('SET', KEYS[2], 1, 'EX', ARGV[1])
return 1
"""


class Slots:
    """One vLLM's slots, for threads and workers."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._redis = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=5, decode_responses=True)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else loads into this replica or unloads from it meanwhile. Raises Unavailable when that
        cannot be had, or Redis goes away in between."""
        lock = self._redis.lock(
            _key(self._replica, "alone"),
            timeout=HOLD_SECONDS,
            blocking_timeout=WAIT_SECONDS,
            thread_local=False,
        )
        try:
            if not lock.acquire():
                raise Unavailable("The model engine is busy loading adapters; try again in a minute.")
            try:
                yield
            finally:
                lock.release()
        except redis.exceptions.LockError:  # it ran out: whatever was done had its own limits in time
            return
        except redis.RedisError:
            raise Unavailable(AWAY) from None

    def coming(self) -> set[str]:
        """Names whose load began and whose end nobody saw."""
        key = _key(self._replica, "coming")
        self._redis.zremrangebyscore(key, "-inf", time.time())
        return {str(name) for name in self._redis.zrange(key, 0, -1)}

    def note_coming(self, name: str) -> None:
        self._redis.zadd(_key(self._replica, "coming"), {name: time.time() + COMING_SECONDS})

    def came(self, *names: str) -> None:
        """The loads of these names have ended, well or badly."""
        if names:
            self._redis.zrem(_key(self._replica, "coming"), *names)

    def leave(self, name: str) -> bool:
        """Whether no request uses the name; then no new one begins to, until `left`."""
        keys = [_key(self._replica, "uses", name), _key(self._replica, "leaving", name)]
        return bool(self._redis.eval(_LEAVE, 2, *keys, str(LEAVING_SECONDS)))

    def left(self, name: str) -> None:
        self._redis.delete(_key(self._replica, "leaving", name))
        self._redis.zrem(_key(self._replica, "last"), name)

    def last_used(self) -> dict[str, float]:
        """When each name was last used, in Unix seconds; names that never were are absent."""
        found: Any = self._redis.zrange(_key(self._replica, "last"), 0, -1, withscores=True)
        return dict(found)


class Uses:
    """The uses that one event loop's requests make of adapters: counted for a vLLM, for others only noted."""

    def __init__(self) -> None:
        self._redis = redis.asyncio.Redis.from_url(settings.REDIS_URL, socket_timeout=5)
        self._noted: dict[tuple[str, str], float] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def note(self, replica: Replica, name: str) -> None:
        """Remember, now and then, when the name was last used. No request waits for that or fails with it."""
        now = time.monotonic()
        if now - self._noted.get((replica.name, name), -NOTE_SECONDS) >= NOTE_SECONDS:
            self._noted[(replica.name, name)] = now
            self._start(self._note(replica, name))

    async def _note(self, replica: Replica, name: str) -> None:
        try:
            await self._redis.zadd(_key(replica, "last"), {name: time.time()})
        except redis.RedisError:
            pass

    async def begin(self, replica: Replica, name: str, use: str) -> bool:
        """Let `use` count as one of the name until its end; False while that is being unloaded.

        Raises Unavailable."""
        keys = [_key(replica, "uses", name), _key(replica, "leaving", name), _key(replica, "last")]
        try:
            begun = await self._redis.eval(_BEGIN, 3, *keys, use, name, str(USE_SECONDS))
        except redis.RedisError:
            raise Unavailable(AWAY) from None
        return bool(begun)

    async def end(self, replica: Replica, name: str, use: str) -> None:
        """End a use, whether it began or not; also where whoever asks for it is cancelled meanwhile."""
        await asyncio.shield(self._start(self._end(replica, name, use)))

    async def _end(self, replica: Replica, name: str, use: str) -> None:
        keys = [_key(replica, "uses", name), _key(replica, "last")]
        try:
            await self._redis.eval(_END, 2, *keys, use, name)
        except redis.RedisError:
            pass  # it ends by itself, later

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)  # asyncio itself would let go of it
        task.add_done_callback(self._tasks.discard)
        return task


def _key(replica: Replica, *parts: str) -> str:
    return ":".join(("housestyle:engine", replica.name, *parts))
