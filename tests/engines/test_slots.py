"""The last slot of a vLLM is never taken, whoever loads at once."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.engines.stand_in import StandIn, standing_in
from tests.engines.versions import version
from webapp.core.errors import Unavailable
from webapp.serving.empty_adapter import EMPTY
from webapp.serving.engine import calls, loading
from webapp.serving.engine.slots import Slots, Uses
from webapp.serving.engine.targets import Target
from webapp.serving.engine_settings import Kind, Replica

PLACES = 3
SLOTS = PLACES + 2


@pytest.fixture(scope="module")
def started() -> Iterator[StandIn]:
    with standing_in("vllm") as engine:
        yield engine


@pytest.fixture
def vllm(started: StandIn) -> StandIn:
    return started.reset()


@pytest.fixture
def replica(vllm: StandIn) -> Replica:
    return Replica(f"r{uuid.uuid4().hex[:8]}", Kind.VLLM, vllm.url, "token", SLOTS)


def targets(count: int) -> list[Target]:
    return [Target.of(version()) for _ in range(count)]


def empty() -> Target:
    """The empty adapter as the slots know it: by its name."""
    some = Target.of(version())
    return Target(EMPTY, "the base model", some.folder, some.sha256)


async def use(replica: Replica, name: str) -> None:
    assert await Uses().begin(replica, name, uuid.uuid4().hex)


def test_first_uses_at_once_never_take_the_last_slot(vllm: StandIn, replica: Replica) -> None:
    vllm.load_seconds = 0.01
    with ThreadPoolExecutor(8) as threads:
        done = list(threads.map(lambda target: loading.load(replica, target), [empty(), *targets(11)]))
    assert len(done) == vllm.loads == 12
    assert vllm.most == len(vllm.adapters) == SLOTS - 1
    assert EMPTY in vllm.adapters


def test_the_place_of_the_base_is_kept_before_it_is_loaded(vllm: StandIn, replica: Replica) -> None:
    for target in targets(PLACES + 2):
        loading.load(replica, target)
    assert len(vllm.adapters) == PLACES
    loading.load(replica, empty())
    assert len(vllm.adapters) == PLACES + 1


def test_the_same_adapter_at_once_is_loaded_once(vllm: StandIn, replica: Replica) -> None:
    (target,) = targets(1)
    vllm.load_seconds = 0.05
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: loading.load(replica, target), range(4)))
    assert vllm.loads == 1


def test_what_was_used_last_stays(vllm: StandIn, replica: Replica) -> None:
    old, used, *rest = targets(PLACES + 1)
    for target in (old, used, *rest[:-1]):
        loading.load(replica, target)
    asyncio.run(use_and_end(replica, used.name))
    loading.load(replica, rest[-1])
    assert used.name in vllm.adapters
    assert len(vllm.adapters) == PLACES


async def use_and_end(replica: Replica, name: str) -> None:
    uses = Uses()
    assert await uses.begin(replica, name, "a use")
    await uses.end(replica, name, "a use")


def test_an_adapter_in_use_is_not_unloaded_and_the_client_is_told_when_to_come_back(
    vllm: StandIn, replica: Replica
) -> None:
    *held, other = targets(PLACES + 1)

    async def all_in_use() -> None:
        uses = Uses()
        for target in held:
            await asyncio.to_thread(loading.load, replica, target)
            assert await uses.begin(replica, target.name, "a use")
        with pytest.raises(loading.NoPlace) as full:
            await asyncio.to_thread(loading.load, replica, other)
        assert (full.value.status, full.value.retry_after) == (503, 10)
        assert set(vllm.adapters) == {target.name for target in held}
        await uses.end(replica, held[1].name, "a use")
        await asyncio.to_thread(loading.load, replica, other)

    asyncio.run(all_in_use())
    assert set(vllm.adapters) == {held[0].name, held[2].name, other.name}


def test_a_use_does_not_begin_while_the_adapter_is_being_unloaded(replica: Replica) -> None:
    slots = Slots(replica)
    assert slots.leave("lo-1")
    assert not asyncio.run(Uses().begin(replica, "lo-1", "a use"))
    slots.left("lo-1")
    asyncio.run(use(replica, "lo-1"))
    assert not slots.leave("lo-1")


def test_a_load_whose_end_nobody_saw_counts(
    vllm: StandIn, replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost, *rest = targets(PLACES + 1)
    vllm.load_seconds = 0.5
    with monkeypatch.context() as hasty:
        hasty.setattr(calls, "LOAD_SECONDS", 0.05)
        with pytest.raises(Unavailable):
            loading.load(replica, lost)
    vllm.load_seconds = 0.0
    assert Slots(replica).coming() == {lost.name}
    for target in rest:
        loading.load(replica, target)
    while lost.name not in vllm.adapters:
        pass
    assert vllm.most <= PLACES


def test_what_others_loaded_counts_and_is_left_alone(vllm: StandIn, replica: Replica) -> None:
    vllm.adapters = {"theirs": "/a", "lo-theirs": "/b"}
    first, second = targets(2)
    loading.load(replica, first)
    loading.load(replica, second)
    assert set(vllm.adapters) == {"theirs", "lo-theirs", second.name}
    vllm.adapters["another of theirs"] = "/c"
    asyncio.run(use(replica, second.name))
    with pytest.raises(loading.NoPlace):
        loading.load(replica, first)


def test_a_file_that_was_changed_is_not_loaded(vllm: StandIn, replica: Replica) -> None:
    (target,) = targets(1)
    (target.folder / "adapter_model.safetensors").write_bytes(b"other bytes")
    with pytest.raises(Unavailable, match="not the ones that were approved"):
        loading.load(replica, target)
    assert vllm.loads == 0


def test_nothing_is_loaded_while_redis_is_away(vllm: StandIn, replica: Replica, settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    with pytest.raises(Unavailable, match="while Redis is away"):
        loading.load(replica, targets(1)[0])
    with pytest.raises(Unavailable, match="while Redis is away"):
        asyncio.run(use(replica, "lo-1"))
    assert vllm.loads == 0
