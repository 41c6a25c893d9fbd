"""One client for all engines: which replica is asked, what is tried again, and what is told to the caller."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from http import HTTPStatus
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import httpx
from django.utils.crypto import salted_hmac

from webapp.adapters.models import AdapterVersion
from webapp.serving.engine import answers, loading, placing
from webapp.serving.engine.answers import BrokenOff, Event
from webapp.serving.engine.replica import NotReached, Replica
from webapp.serving.engine.slots import Uses
from webapp.serving.engine.targets import BASE, Target, empty_target, replicas
from webapp.serving.engine_settings import Kind

# An adapter's own replica may have so many more requests under way than the idlest before that one is taken.
UNEVEN = 8
# vLLM would take what is left out from the model's generation_config.json; OpenAI's defaults are these.
_VLLM_DEFAULTS = {"temperature": 1.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}
# Loads block, and must not take the threads that database work waits for.
_loaders = ThreadPoolExecutor(8, thread_name_prefix="adapter-load")

T = TypeVar("T")


class Route(StrEnum):
    CHAT = "/v1/chat/completions"
    COMPLETION = "/v1/completions"
    TOKENIZE = "/tokenize"


class Engine:
    """The engines as one event loop sees them."""

    def __init__(self) -> None:
        self._replicas = {named.name: Replica(named) for named in replicas()}
        self._uses = Uses()
        self._loading: dict[tuple[str, str], asyncio.Lock] = {}

    async def complete(
        self, route: Route, body: Mapping[str, Any], *, version: AdapterVersion | None, tenant_id: uuid.UUID
    ) -> Event:
        """The whole answer as the engine gives it. `version` None asks the base. Raises AppError."""
        asked = {**body, "stream": False}
        asked.pop("stream_options", None)

        async def once(replica: Replica) -> Event:
            exchange = await self._open(replica, route, asked, version, tenant_id)
            return await exchange.whole()

        return await self._try(_key(version, tenant_id), once)

    async def stream(
        self, route: Route, body: Mapping[str, Any], *, version: AdapterVersion | None, tenant_id: uuid.UUID
    ) -> AsyncGenerator[Event, None]:
        """The answer's chunks as they come. Raises AppError, here or in the middle of the iteration.

        The first chunk has been read on return, so that a refusal is still a status and not an event.
        Closing or dropping the iterator ends the engine's work on it.
        """

        async def once(replica: Replica) -> AsyncGenerator[Event, None]:
            exchange = await self._open(replica, route, {**body, "stream": True}, version, tenant_id)
            chunks = exchange.chunks()
            try:
                first = await anext(chunks, None)
            except BrokenOff:  # not a byte of the answer: another may give it
                replica.avoid()
                raise NotReached(refused=False) from None
            if first is None:
                raise BrokenOff
            return answers.with_first(first, chunks)

        return await self._try(_key(version, tenant_id), once)

    async def tokens(
        self, messages: Sequence[Mapping[str, str]], *, add_generation_prompt: bool
    ) -> list[str]:
        """A conversation's tokens under the base's chat template, as its vocabulary writes them.

        Raises AppError.
        """
        asked = {
            "model": BASE,
            "messages": list(messages),
            "add_generation_prompt": add_generation_prompt,
            "return_token_strs": True,
        }

        async def once(replica: Replica) -> list[str]:
            response = await replica.post(Route.TOKENIZE, asked)
            await replica.read(response)
            if response.status_code != HTTPStatus.OK:
                raise answers.refusal(response, "the base model")
            strings: list[str] = response.json()["token_strs"]
            return strings

        return await self._try(BASE, once)

    async def _try(self, key: str, once: Callable[[Replica], Awaitable[T]]) -> T:
        """What `once` gives, of the replica whose turn it is, or else of one other. A lone replica is asked
        again where a connection broke (it may have been kept too long), not where nobody listens."""
        order = self._order(key)
        first = order[0]
        try:
            return await once(first)
        except NotReached as error:
            if len(order) == 1 and error.refused:
                raise
        except loading.NoPlace:
            if len(order) == 1:
                raise
        return await once(order[1] if len(order) > 1 else first)

    def _order(self, key: str) -> list[Replica]:
        """All replicas, the one to ask first: of those that answer, the key's own so that an adapter stays
        where it is loaded, unless it has much more to do than the idlest."""
        ranked = [self._replicas[name] for name in placing.ranked(self._replicas, key)]
        ranked.sort(key=lambda replica: not replica.healthy)
        usable = [replica for replica in ranked if replica.healthy] or ranked
        idlest = min(usable, key=lambda replica: replica.under_way)
        if ranked[0].under_way > idlest.under_way + UNEVEN:
            ranked.remove(idlest)
            ranked.insert(0, idlest)
        return ranked

    async def _open(
        self,
        replica: Replica,
        route: Route,
        body: Mapping[str, Any],
        version: AdapterVersion | None,
        tenant_id: uuid.UUID,
    ) -> Exchange:
        """An open, successful answer; an adapter that the replica does not know is loaded, once."""
        target = Target.of(version) if version else None
        if target is None and replica.named.kind is Kind.VLLM:
            target = await _in_thread(empty_target)
        exchange = Exchange(replica, self._uses, target, as_base=version is None)
        sent = {**body, "model": exchange.name, "cache_salt": cache_salt(tenant_id)}
        if replica.named.kind is Kind.VLLM:
            sent = {**_VLLM_DEFAULTS, **sent}
        try:
            if not await exchange.begin():  # it is just being unloaded
                await self._load(exchange)
            response = await replica.post(route, sent)
            if response.status_code == HTTPStatus.NOT_FOUND and target is not None:
                await response.aclose()
                await self._load(exchange)
                response = await replica.post(route, sent)
            exchange.response = response
            if response.status_code == HTTPStatus.OK:
                if target is not None and replica.named.slots is None:
                    self._uses.note(replica.named, target.name)
                return exchange
            await replica.read(response)
            raise answers.refusal(response, str(version or "the base model"))
        except BaseException:
            await exchange.close()
            raise

    async def _load(self, exchange: Exchange) -> None:
        """Have the replica answer to the name, one load of each at a time. Raises AppError."""
        named, target = exchange.replica.named, exchange.target
        assert target is not None
        async with self._loading.setdefault((named.name, target.name), asyncio.Lock()):
            await _in_thread(loading.load, named, target)
        if not await exchange.begin():
            raise loading.NoPlace


class Exchange:
    """One request to one replica, from before it is sent until its answer is read or given up."""

    response: httpx.Response | None = None

    def __init__(self, replica: Replica, uses: Uses, target: Target | None, *, as_base: bool) -> None:
        self.replica, self.target = replica, target
        self.name = target.name if target else BASE
        self._as_base = as_base
        self._uses = uses
        self._use = uuid.uuid4().hex
        self._begun = False
        self._open = True
        replica.under_way += 1

    async def begin(self) -> bool:
        """Hold the adapter in its slot, where slots are counted. False while it is being unloaded."""
        if self.replica.named.slots is None or self._begun:
            return True
        self._begun = True  # also where this is cancelled and nobody hears that it began
        self._begun = await self._uses.begin(self.replica.named, self.name, self._use)
        return self._begun

    async def whole(self) -> Event:
        """The whole answer; the exchange ends with it."""
        assert self.response is not None
        try:
            return self.named(await answers.whole(self.response, self.name))
        finally:
            await self.close()

    async def chunks(self) -> AsyncGenerator[Event, None]:
        """The answer's chunks; the exchange ends with them."""
        assert self.response is not None
        try:
            async for chunk in answers.chunks(self.response, self.name):
                yield self.named(chunk)
        finally:
            await self.close()

    def named(self, answer: Event) -> Event:
        """The answer under the name that the caller knows: vLLM answers for the base as the empty adapter."""
        return {**answer, "model": BASE} if self._as_base and self.name != BASE else answer

    async def close(self) -> None:
        if not self._open:
            return
        self._open = False
        self.replica.under_way -= 1
        try:
            if self.response is not None:
                await self.response.aclose()
        finally:
            if self._begun:
                await self._uses.end(self.replica.named, self.name, self._use)


_engines: WeakKeyDictionary[asyncio.AbstractEventLoop, Engine] = WeakKeyDictionary()


def engine() -> Engine:
    """The engines for the running event loop: connections cannot be shared between loops."""
    loop = asyncio.get_running_loop()
    if loop not in _engines:
        _engines[loop] = Engine()
    return _engines[loop]


def cache_salt(tenant_id: uuid.UUID) -> str:
    """Keeps one firm's cached prefixes out of another's timing (CVE-2025-46570), and names no firm."""
    return salted_hmac("housestyle.cache_salt", str(tenant_id), algorithm="sha256").hexdigest()


def _key(version: AdapterVersion | None, tenant_id: uuid.UUID) -> str:
    """What decides which replica is asked first: the adapter; for the base the firm, whose cached prefixes
    are there."""
    return version.engine_name if version else cache_salt(tenant_id)


async def _in_thread(call: Callable[..., T], *arguments: Any) -> T:
    return await asyncio.get_running_loop().run_in_executor(_loaders, call, *arguments)
