"""Who has which blocks of the store: the budget of the memory for keys and values."""

from __future__ import annotations

from collections.abc import Sequence

from workers.serving.kv_cache import BLOCK, KVCache, KVStore
from workers.serving.prefix_cache import PrefixCache, block_keys


def blocks_for(tokens: int) -> int:
    """Blocks that hold so many tokens."""
    return -(-tokens // BLOCK)


class KVPool:
    """Hands out blocks and takes them back; one thread calls it, any may read its counts.

    A sequence reserves its whole length when it is admitted, so that no running sequence can ever be short of
    room. Whole blocks that were read may be shared by sequences of one scope, which only read them: whoever
    gets a cache starts to write behind its `length`.
    """

    def __init__(self, store: KVStore) -> None:
        self._store = store
        self._free = list(range(store.blocks - 1, -1, -1))  # blocks of low numbers go first, and again
        self._holders = [0] * store.blocks  # sequences that have the block in their table
        self._prefixes = PrefixCache()
        self.queried_tokens = 0  # of prompts that were looked up among the known prefixes
        self.hit_tokens = 0  # of those, what did not need to be read again

    @property
    def blocks(self) -> int:
        return self._store.blocks

    @property
    def used_blocks(self) -> int:
        """Blocks that sequences hold."""
        return self.blocks - len(self._free) - self._prefixes.idle

    @property
    def idle_blocks(self) -> int:
        """Blocks that no sequence holds and that keep a prefix until their room is needed."""
        return self._prefixes.idle

    def fits(self, capacity: int) -> bool:
        """Whether a cache for `capacity` tokens could ever be had."""
        return blocks_for(capacity) <= self.blocks

    def allocate(self, capacity: int, *, scope: bytes = b"", tokens: Sequence[int] = ()) -> KVCache | None:
        """A cache for `capacity` tokens, or None while there is no room for it.

        Its first blocks may hold the beginning of `tokens` already, as `length` says: whole blocks, and never
        all tokens, since the last one's logits have to be computed. Only what was released under the same
        scope is found again, and nothing under an empty one.
        """
        known: list[int] = []
        if scope:
            known = self._prefixes.match(block_keys(scope, tokens)[: max(len(tokens) - 1, 0) // BLOCK])
        wanted = blocks_for(capacity) - len(known)
        # A known block that rests is taken out of those that could be given up for the others.
        resting = sum(self._holders[block] == 0 for block in known)
        if wanted > len(self._free) + self._prefixes.idle - resting:
            return None
        for block in known:
            self._prefixes.hold(block)
        table = known + [self._free.pop() if self._free else self._prefixes.give_up() for _ in range(wanted)]
        for block in table:
            self._holders[block] += 1
        if scope:
            self.queried_tokens += len(tokens)
            self.hit_tokens += len(known) * BLOCK
        return KVCache(self._store, table, len(known) * BLOCK)

    def share(self, cache: KVCache, *, scope: bytes, tokens: Sequence[int]) -> None:
        """Let sequences of the same scope use what `cache` holds of `tokens`: its whole, filled blocks."""
        if scope:
            keys = block_keys(scope, tokens[: cache.length])
            for key, block in zip(keys, cache.table, strict=False):
                self._prefixes.add(key, block)

    def release(self, cache: KVCache, *, scope: bytes = b"", tokens: Sequence[int] = ()) -> None:
        """Take back a cache's blocks. Under a scope, what it holds of `tokens` is kept while room lasts."""
        self.share(cache, scope=scope, tokens=tokens)
        for block in reversed(cache.table):  # the end of a prefix is of no use without its beginning
            self._holders[block] -= 1
            if self._holders[block] == 0:
                if block in self._prefixes:
                    self._prefixes.rest(block)
                else:
                    self._free.append(block)
        cache.table, cache.length = [], 0  # nobody may write there any more
