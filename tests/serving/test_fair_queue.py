"""The waiting line: whose turn it is, how long it may get, when to come back."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from workers.serving.fair_queue import FairQueue


@dataclass
class Item:
    tenant: str
    number: int = 0
    cancelled: bool = False


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def serve(queue: FairQueue[Item], tokens: float = 100) -> str:
    """Take whose turn it is, charge it, and say who it was."""
    item = queue.first()
    assert item is not None
    queue.take(item)
    queue.charge(item.tenant, tokens)
    return item.tenant


def test_twenty_waiting_of_one_tenant_do_not_hold_up_anothers_first() -> None:
    queue = FairQueue[Item](100)
    for number in range(20):
        assert queue.add(Item("a", number))
    assert serve(queue) == "a"
    queue.add(Item("b"))
    assert [serve(queue) for _ in range(3)] == ["b", "a", "a"]


def test_tenants_take_turns_and_each_is_served_in_order() -> None:
    queue = FairQueue[Item](100)
    for number in range(3):
        queue.add(Item("a", number))
    for number in range(3):
        queue.add(Item("b", number))
    served = []
    while (item := queue.first()) is not None:
        queue.take(item)
        queue.charge(item.tenant, 10)
        served.append((item.tenant, item.number))
    assert served == [("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2), ("b", 2)]


def test_turns_go_by_tokens_not_by_requests() -> None:
    queue = FairQueue[Item](100)
    for _ in range(10):
        queue.add(Item("long"))
        queue.add(Item("short"))
    for _ in range(8):
        item = queue.first()
        assert item is not None
        queue.take(item)
        queue.charge(item.tenant, 300 if item.tenant == "long" else 100)
    assert queue.waiting("long") == 8  # two of 300 tokens
    assert queue.waiting("short") == 4  # six of 100


def test_nobody_saves_up_turns_by_staying_away() -> None:
    queue = FairQueue[Item](100)
    queue.add(Item("busy"))
    serve(queue, 10_000)
    for _ in range(4):
        queue.add(Item("busy"))
        queue.add(Item("new"))
    assert sorted(serve(queue) for _ in range(4)) == ["busy", "busy", "new", "new"]


def test_no_tenant_is_one_tenant_of_its_own() -> None:
    queue = FairQueue[Item](100)
    for _ in range(3):
        queue.add(Item(""))
    queue.add(Item("a"))
    assert {serve(queue), serve(queue)} == {"", "a"}


def test_one_tenant_gets_half_the_places_and_another_still_finds_some() -> None:
    queue = FairQueue[Item](8)
    assert [queue.add(Item("a")) for _ in range(6)] == [True] * 4 + [False] * 2
    assert [queue.add(Item("b")) for _ in range(4)] == [True] * 2 + [False] * 2
    assert queue.add(Item("c"))
    serve(queue)
    assert len(queue) == 6


def test_those_given_up_leave_the_line_and_their_places() -> None:
    queue = FairQueue[Item](4)
    first, second = Item("a", 1), Item("a", 2)
    assert queue.add(first)
    assert queue.add(second)
    assert not queue.add(Item("a", 3))
    first.cancelled = True
    assert queue.take_cancelled() == [first]
    assert queue.add(Item("a", 3))
    assert queue.first() is second
    assert [item.number for item in queue.drain()] == [2, 3]
    assert queue.first() is None
    assert len(queue) == 0


def test_when_to_come_back_follows_the_recent_rate() -> None:
    clock = Clock()
    queue = FairQueue[Item](1000, clock)
    for number in range(120):
        queue.add(Item("a", number))
    assert queue.retry_after("a") == 60  # nothing was served yet
    for _ in range(20):  # two a second
        clock.now += 0.5
        serve(queue)
    assert queue.retry_after("a") == 24  # half of the 100 that wait, at 20 in 9.5 seconds
    assert queue.retry_after("b") == 1
    clock.now += 100
    assert queue.retry_after("a") == 60


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 50)), max_size=60))
def test_served_tokens_of_those_who_wait_never_drift_apart(arrivals: list[tuple[str, int]]) -> None:
    """Sheng et al. 2024, theorem 4.4: the difference is bounded by the largest single request, twice."""
    queue = FairQueue[Item](1000)
    for tenant, size in arrivals:
        assert queue.add(Item(tenant, size))
    served = dict.fromkeys("abcd", 0)
    while (item := queue.first()) is not None:
        waiting = [tenant for tenant in served if queue.waiting(tenant)]
        assert max(served[t] for t in waiting) - min(served[t] for t in waiting) <= 2 * 50
        queue.take(item)
        queue.charge(item.tenant, item.number)
        served[item.tenant] += item.number
    assert sum(served.values()) == sum(size for _, size in arrivals)


def test_tenants_that_make_no_difference_are_forgotten() -> None:
    queue = FairQueue[Item](4)
    for number in range(5000):
        queue.add(Item(f"tenant {number}"))
        serve(queue, 1)
    assert len(queue._served) <= 1025
