"""How much the engine remembers where nobody says: a part of the machine's memory."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass

from workers.host_memory import host_memory
from workers.serving.config import LlamaConfig
from workers.serving.errors import StartError
from workers.serving.kv_cache import BLOCK, KVStore

_SHARE = 4  # a fraction of the memory: beside the engine stand its weights, adapters, and the other processes
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)


@dataclass(frozen=True)
class KVBudget:
    """The memory for keys and values, in whole blocks, and how it came about."""

    tokens: int
    bytes: int
    why: str

    @property
    def blocks(self) -> int:
        return self.tokens // BLOCK


def kv_budget(
    config: LlamaConfig,
    context: int,
    sequences: int,
    *,
    tokens: int | None = None,
    memory: int | None = None,
) -> KVBudget:
    """Of `tokens` or of `memory` bytes, whichever is given. With neither: what `sequences` of a whole
    `context` need, but at most a quarter of the machine's memory, which the system gives as it is written.

    Raises StartError for less than one request may need.
    """
    each, least = KVStore.bytes_per_token(config), -(-context // BLOCK)
    if tokens is not None:
        blocks, why = -(-tokens // BLOCK), "as asked for"
    elif memory is not None:
        blocks, why = memory // (each * BLOCK), "as asked for"
    else:
        whole = host_memory()
        blocks, why = sequences * least, f"all that can be needed by {sequences} at once"
        if blocks > whole // _SHARE // (each * BLOCK):
            blocks, why = whole // _SHARE // (each * BLOCK), f"a quarter of this machine's {_gib(whole)}"
    if blocks < least:
        raise StartError(
            f"Keys and values have room for {blocks * BLOCK} tokens, but one request may need {context}, "
            f"which take {_gib(least * BLOCK * each)}: give more with --kv-cache-memory, or lower "
            "--max-model-len."
        )
    return KVBudget(blocks * BLOCK, blocks * BLOCK * each, why)


def sentence(budget: KVBudget) -> str:
    return f"Keys and values of up to {budget.tokens:,} tokens are kept in {_gib(budget.bytes)}, {budget.why}"


def memory_size(text: str) -> int:
    """Bytes of “6GiB”, “512M” or “1000000”, for argparse; units are powers of 1024."""
    found = _SIZE.fullmatch(text.strip())
    if not found or float(found[1]) <= 0:
        raise argparse.ArgumentTypeError(f"“{text}” is no size: write one like 6GiB or 512MiB")
    return int(float(found[1]) * _UNITS[found[2].upper()])


def at_least_one(text: str) -> int:
    """A count, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"“{text}” is no number from 1 on")
    return int(text)


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**29 else f"{size / 2**20:.0f} MiB"
