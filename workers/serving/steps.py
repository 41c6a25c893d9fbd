"""A step laid out: which rows its segments have, where their keys go, whose matrices are added to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workers.serving.kv_cache import BLOCK, KVCache, KVStore
from workers.serving.lora import MODULES, PlacedAdapter


@dataclass(frozen=True)
class Segment:
    """The next tokens of one sequence: its prompt (or a chunk of it), or the one token chosen last.

    `logits`: for how many of its last rows logits are wanted.
    """

    tokens: Sequence[int]
    cache: KVCache
    adapter: PlacedAdapter | None = None
    logits: int = 1


@dataclass(frozen=True)
class Step:
    """Segments as flat rows, one below the other. Numbers are int64 arrays."""

    store: KVStore
    tokens: Tensor  # [rows]
    positions: NDArray[np.int64]  # [rows], each in its own sequence
    seen: NDArray[np.int64]  # [rows], keys it may look at
    block: NDArray[np.int64]  # [rows], where its key and value go
    slot: NDArray[np.int64]  # [rows], and where in the block
    line: NDArray[np.int64]  # [rows], its segment
    table: NDArray[np.int64]  # [segments, most blocks]
    arena: NDArray[np.float32]  # that of all adapters; empty where no row has one
    adapted: NDArray[np.int64]  # rows that have an adapter
    owner: NDArray[np.int64]  # [adapted], which of `parts`
    parts: NDArray[np.int64]  # [adapters, layers, modules, 5], as kernels.lora wants them
    wanted: NDArray[np.int64]  # rows whose logits are wanted


def lay_out(segments: Sequence[Segment]) -> Step:
    """Segments share a store, and their adapters an arena."""
    counts = np.asarray([len(segment.tokens) for segment in segments])
    lengths = np.asarray([segment.cache.length for segment in segments])
    ends = counts.cumsum()
    line = np.repeat(np.arange(len(segments)), counts)
    positions = np.arange(ends[-1]) - np.repeat(ends - counts - lengths, counts)
    numbers = {id(segment.adapter): segment.adapter for segment in segments if segment.adapter}
    order = {key: at for at, key in enumerate(numbers)}
    owners = np.asarray([order.get(id(segment.adapter), -1) for segment in segments])[line]
    adapted = np.flatnonzero(owners >= 0)
    adapters = list(numbers.values())
    table = _tables(segments, int(positions.max()) // BLOCK + 1)
    return Step(
        store=segments[0].cache.store,
        tokens=torch.tensor([token for segment in segments for token in segment.tokens]),
        positions=positions,
        seen=positions + 1,
        block=table[line, positions // BLOCK],
        slot=positions % BLOCK,
        line=line,
        table=table,
        arena=adapters[0].arena.numpy() if adapters else np.empty(0, np.float32),
        adapted=adapted,
        owner=owners[adapted],
        parts=np.stack([adapter.parts for adapter in adapters])
        if adapters
        else np.zeros((0, 0, len(MODULES), 5), np.int64),
        wanted=_wanted(segments, ends),
    )


def _tables(segments: Sequence[Segment], most: int) -> NDArray[np.int64]:
    table = np.zeros((len(segments), most), np.int64)
    for line, segment in zip(table, segments, strict=True):
        used = segment.cache.table[:most]
        line[: len(used)] = used
    return table


def _wanted(segments: Sequence[Segment], ends: NDArray[np.int64]) -> NDArray[np.int64]:
    rows = [np.arange(end - segment.logits, end) for segment, end in zip(segments, ends, strict=True)]
    return np.concatenate(rows)
