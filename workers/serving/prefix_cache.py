"""Which blocks hold the keys and values of which beginning of a prompt."""

from __future__ import annotations

import hashlib
import struct
from collections import OrderedDict
from collections.abc import Sequence

from workers.serving.kv_cache import BLOCK


def scope_of(salt: str, load_id: str) -> bytes:
    """Whose prefixes a request may share: those of one firm's salt on one load of one adapter.

    Empty, for none, where the request has no salt: whom it comes from is not known then.
    """
    if not salt:
        return b""
    return hashlib.sha256(hashlib.sha256(salt.encode()).digest() + load_id.encode()).digest()


def block_keys(scope: bytes, tokens: Sequence[int]) -> list[bytes]:
    """A key for every whole block of `tokens`: SHA-256 over the key before it and the block's own tokens.

    The chain starts from `scope`, so one key stands for one tenant, one adapter and everything read so far;
    who does not know the scope's secret part can't name another's block.
    """
    keys: list[bytes] = []
    key = hashlib.sha256(scope).digest()
    for start in range(0, len(tokens) - BLOCK + 1, BLOCK):
        packed = struct.pack(f"<{BLOCK}q", *tokens[start : start + BLOCK])
        key = hashlib.sha256(key + packed).digest()
        keys.append(key)
    return keys


class PrefixCache:
    """Blocks by key. Those that no sequence holds are idle: the least recently used is given up first."""

    def __init__(self) -> None:
        self._blocks: dict[bytes, int] = {}
        self._keys: dict[int, bytes] = {}
        self._idle: OrderedDict[int, None] = OrderedDict()  # the least recently used first

    def __contains__(self, block: int) -> bool:
        return block in self._keys

    @property
    def idle(self) -> int:
        """Blocks that can be given up at any moment."""
        return len(self._idle)

    def match(self, keys: Sequence[bytes]) -> list[int]:
        """The blocks of the longest beginning of `keys` that is known."""
        found: list[int] = []
        for key in keys:
            block = self._blocks.get(key)
            if block is None:
                break
            found.append(block)
        return found

    def add(self, key: bytes, block: int) -> None:
        """Know `block`, which is in use, by `key`, unless another block is known by it already."""
        if key not in self._blocks and block not in self._keys:
            self._blocks[key] = block
            self._keys[block] = key

    def hold(self, block: int) -> None:
        """A sequence uses the block: it can't be given up."""
        self._idle.pop(block, None)

    def rest(self, block: int) -> None:
        """No sequence uses the block any more: it was the most recently used."""
        self._idle[block] = None
        self._idle.move_to_end(block)

    def give_up(self) -> int:
        """Forget the idle block that was used least recently, and return it. Needs `idle` > 0."""
        block, _ = self._idle.popitem(last=False)
        del self._blocks[self._keys.pop(block)]
        return block
