"""Keys and values of the tokens already read, one cache a sequence, from a pool counted in tokens."""

from __future__ import annotations

import torch
from torch import Tensor

from workers.serving.config import LlamaConfig


class KVCache:
    """Room for `capacity` tokens of one sequence; `length` of them are filled."""

    def __init__(self, config: LlamaConfig, capacity: int) -> None:
        # Left uninitialised on purpose: the system gives pages only as tokens are written.
        shape = (config.layers, config.kv_heads, capacity, config.head_dim)
        self._keys, self._values = torch.empty(shape), torch.empty(shape)
        self.capacity = capacity
        self.length = 0

    def write(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Put the keys and values `[rows, kv_heads, head_dim]` of the next rows behind `length`.

        Returns all of the layer's keys and values up to them, `[kv_heads, length + rows, head_dim]`. `length`
        stays: writing the same rows again changes nothing, so a failed step can be repeated.
        """
        end = self.length + keys.shape[0]
        all_keys, all_values = self._keys[layer, :, :end], self._values[layer, :, :end]
        all_keys[:, self.length :] = keys.transpose(0, 1)
        all_values[:, self.length :] = values.transpose(0, 1)
        return all_keys, all_values


class KVPool:
    """How many tokens all caches together may hold. A sequence reserves its whole length when it is admitted,
    so that no running sequence can ever be short of room."""

    def __init__(self, config: LlamaConfig, tokens: int) -> None:
        self._config = config
        self._free = tokens

    def allocate(self, capacity: int) -> KVCache | None:
        """A cache for `capacity` tokens, or None while there is no room for it."""
        if capacity > self._free:
            return None
        cache = KVCache(self._config, capacity)
        self._free -= capacity
        return cache

    def release(self, cache: KVCache) -> None:
        self._free += cache.capacity
