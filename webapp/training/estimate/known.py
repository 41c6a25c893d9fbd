"""Models and devices that the table of costs shows, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from webapp.training.estimate.shape import Shape
from webapp.training.estimate.workload import Machine

GB = 2**30


@dataclass(frozen=True)
class Model:
    """A model of the table: what `config.json` says of its sizes."""

    name: str
    config: Mapping[str, Any]

    @property
    def shape(self) -> Shape:
        return Shape.from_config(self.config)


def _llama(hidden: int, intermediate: int, layers: int, heads: int, *, tied: bool) -> dict[str, Any]:
    return {
        "model_type": "llama",
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": 8,
        "vocab_size": 128256,
        "tie_word_embeddings": tied,
        "max_position_embeddings": 8192,
        "torch_dtype": "bfloat16",
    }


MODELS = (
    Model("Llama-3.2-1B", _llama(2048, 8192, 16, 32, tied=True)),
    Model("Llama-3-8B", _llama(4096, 14336, 32, 32, tied=False)),
    Model("Llama-3-70B", _llama(8192, 28672, 80, 64, tied=False)),
)
RANKS = (4, 16, 64)

# Dense rates of the vendors' data sheets; what training reaches of them is estimated in `seconds`.
CARDS = {
    "24": Machine(
        name="One 24 GB card",
        kind="cuda",
        memory_bytes=24 * GB,
        host_memory_bytes=64 * GB,
        matrix_flops=165e12,  # GeForce RTX 4090
        given_fp32_flops=82e12,
        read_bytes_per_s=3e9,
        free_disk_bytes=500 * GB,
    ),
    "80": Machine(
        name="One 80 GB card",
        kind="cuda",
        memory_bytes=80 * GB,
        host_memory_bytes=128 * GB,
        matrix_flops=312e12,  # A100
        given_fp32_flops=19.5e12,
        read_bytes_per_s=3e9,
        free_disk_bytes=1000 * GB,
    ),
}
