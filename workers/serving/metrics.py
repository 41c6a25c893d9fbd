"""What the engine counts for Prometheus: numbers and the names of adapters, never a text or a tenant."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from workers.serving.adapter_bank import AdapterBank
from workers.serving.kv_pool import KVPool
from workers.serving.sequence import Sequence

Outcome = Literal["completed", "cancelled", "failed", "refused"]

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_PREFIX = "housestyle_engine_"
_ROWS = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 128, 256)
_FIRST = (0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300)  # seconds
_BETWEEN = (0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 2, 5)  # seconds


class Metrics:
    """One engine's numbers, in a registry of its own.

    A sequence is counted as one request. Every sequence that has `arrived` must have `ended`, once.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._registry = CollectorRegistry(auto_describe=False)
        self._watched = _Watched()
        self._registry.register(self._watched)
        self._requests = Counter(
            f"{_PREFIX}requests",
            "Requests by adapter and by how they ended.",
            ["adapter", "outcome"],
            registry=self._registry,
        )
        self._prompt_tokens = self._counter("prompt_tokens", "Tokens of prompts read to their end.")
        self._generated_tokens = self._counter("generated_tokens", "Tokens chosen.")
        self._sequences = self._histogram("step_sequences", "Sequences in one step.", _ROWS)
        self._first_token = self._histogram(
            "time_to_first_token_seconds", "From a request's arrival to its first token.", _FIRST
        )
        self._between_tokens = self._histogram(
            "inter_token_seconds", "From one token of a request to the next.", _BETWEEN
        )
        # When a sequence arrived or had its last token. Several threads write, but never at one key.
        self._since: dict[Sequence, float] = {}

    def watch(self, name: str, about: str, value: Callable[[], float], *, counts_up: bool = False) -> None:
        """Tell a number that somebody else keeps, as it is at the moment of asking."""
        self._watched.add(_PREFIX + name, about, value, counts_up)

    def arrived(self, sequence: Sequence) -> None:
        self._since[sequence] = self._clock()

    def stepped(self, sequences: int) -> None:
        self._sequences.observe(sequences)

    def chose(self, sequence: Sequence) -> None:
        """A token was chosen for it; call before the sequence takes the token."""
        now = self._clock()
        before = self._since.get(sequence, now)
        if len(sequence.tokens) == sequence.prompt_length:
            self._prompt_tokens.inc(sequence.prompt_length)
            self._first_token.observe(now - before)
        else:
            self._between_tokens.observe(now - before)
        self._generated_tokens.inc()
        self._since[sequence] = now

    def ended(self, sequence: Sequence, outcome: Outcome) -> None:
        """Call before the sequence gives its adapter back: until then the adapter's name is known."""
        self._since.pop(sequence, None)
        name = sequence.adapter.name if sequence.adapter else "base"
        self._requests.labels(name, outcome).inc()

    def forget(self, adapter: str) -> None:
        """The adapter is unloaded: it has no line any more, so that lines are as few as adapters."""
        self._requests.remove_by_labels({"adapter": adapter})

    def text(self) -> bytes:
        """Everything, in Prometheus' text format (CONTENT_TYPE)."""
        return generate_latest(self._registry)

    def _counter(self, name: str, about: str) -> Counter:
        return Counter(_PREFIX + name, about, registry=self._registry)

    def _histogram(self, name: str, about: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(_PREFIX + name, about, buckets=buckets, registry=self._registry)


def watch_pool(metrics: Metrics, pool: KVPool) -> None:
    """Tell the counts of the memory for keys and values."""
    metrics.watch("kv_blocks", "Blocks of keys and values there are.", lambda: pool.blocks)
    metrics.watch("kv_blocks_used", "Blocks that requests hold.", lambda: pool.used_blocks)
    metrics.watch("kv_blocks_idle", "Blocks that keep a prefix for later.", lambda: pool.idle_blocks)
    for name, about, value in (
        (
            "prefix_queried_tokens",
            "Tokens of prompts looked up among known prefixes.",
            lambda: pool.queried_tokens,
        ),
        ("prefix_hit_tokens", "Of these, tokens that did not need to be read.", lambda: pool.hit_tokens),
    ):
        metrics.watch(name, about, value, counts_up=True)


def watch_bank(metrics: Metrics, bank: AdapterBank) -> None:
    """Tell the adapter bank's counts too."""
    metrics.watch("adapters", "Adapters that answer.", lambda: len(bank.names()))
    metrics.watch("adapters_resident", "Of these, adapters in memory.", lambda: bank.resident)
    metrics.watch("adapter_bytes", "Memory that adapters have.", lambda: bank.bytes)
    for name, about, value in (
        ("adapter_hits", "Requests whose adapter was in memory.", lambda: bank.hits),
        ("adapter_misses", "Requests whose adapter was read from disk first.", lambda: bank.misses),
        ("adapter_evictions", "Adapters that made room for others.", lambda: bank.evictions),
    ):
        metrics.watch(name, about, value, counts_up=True)


class _Watched(Collector):
    """Numbers that are read where they are kept."""

    def __init__(self) -> None:
        self._numbers: list[tuple[str, str, Callable[[], float], bool]] = []

    def add(self, name: str, about: str, value: Callable[[], float], counts_up: bool) -> None:
        self._numbers.append((name, about, value, counts_up))

    def collect(self) -> Iterator[Metric]:
        for name, about, value, counts_up in self._numbers:
            family = CounterMetricFamily if counts_up else GaugeMetricFamily
            yield family(name, about, value=value())
