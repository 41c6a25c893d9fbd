"""Keys and values of the tokens already read, in blocks (Kwon et al. 2023, PagedAttention)."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from workers.serving.config import LlamaConfig

BLOCK = 32  # tokens


class KVStore:
    """All the memory there is for keys and values: `blocks` blocks of BLOCK tokens, in every layer."""

    def __init__(self, config: LlamaConfig, blocks: int) -> None:
        # Left uninitialised: the system gives pages only as tokens are written.
        # Keys stand by number, not by token: 32 tokens' scores are then added up at once.
        self.keys = torch.empty(config.layers, blocks, config.kv_heads, config.head_dim, BLOCK)
        self.values = torch.empty(config.layers, blocks, config.kv_heads, BLOCK, config.head_dim)
        self.blocks = blocks
        # What the kernels are given, by layer.
        self.layers = [
            (keys.numpy(), values.numpy()) for keys, values in zip(self.keys, self.values, strict=True)
        ]

    @staticmethod
    def bytes_per_token(config: LlamaConfig) -> int:
        return 2 * 4 * config.layers * config.kv_heads * config.head_dim


@dataclass(eq=False)
class KVCache:
    """One sequence's blocks. `length` tokens are in them; whoever steps the model counts it up."""

    store: KVStore
    table: list[int]
    length: int = field(default=0)

    @property
    def capacity(self) -> int:
        """Tokens that fit."""
        return len(self.table) * BLOCK
