"""A step of the model: equal to the reference in fp32, and in 8 bits the same bits in any company."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from workers.serving.adapter_file import AdapterWeights
from workers.serving.config import LlamaConfig
from workers.serving.kv_cache import BLOCK, KVCache, KVStore
from workers.serving.llama import Llama
from workers.serving.lora import PlacedAdapter, numbers_needed, place
from workers.serving.steps import Segment

CONTEXT = 256
TOKENS = [(7919 * at) % 49_000 for at in range(CONTEXT)]
RANKS = (4, 6, 16, 64)


@pytest.fixture(scope="module", autouse=True)
def _inference() -> object:
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def config(tiny_model: Path) -> LlamaConfig:
    return LlamaConfig.read(tiny_model)


@pytest.fixture(scope="module")
def float32(tiny_model: Path, config: LlamaConfig) -> Llama:
    return Llama.load(tiny_model, config, CONTEXT)


@pytest.fixture(scope="module")
def int8(tiny_model: Path, config: LlamaConfig) -> Llama:
    return Llama.load(tiny_model, config, CONTEXT, weights="int8", calibration=TOKENS)


@pytest.fixture(scope="module")
def weights(config: LlamaConfig) -> list[AdapterWeights]:
    """Adapters of several ranks; the last changes the queries of the last layer alone."""
    made = [_random_adapter(config, rank, seed) for seed, rank in enumerate(RANKS)]
    only: list[dict[str, tuple[Tensor, Tensor]]] = [{} for _ in range(config.layers)]
    only[-1] = {"self_attn.q_proj": made[0].layers[-1]["self_attn.q_proj"]}
    return [*made, AdapterWeights(2.0, tuple(only))]


@pytest.fixture(scope="module")
def placed(weights: list[AdapterWeights], config: LlamaConfig) -> list[PlacedAdapter]:
    arena = torch.full((sum(map(numbers_needed, weights)),), float("nan"))
    adapters: list[PlacedAdapter] = []
    for adapter in weights:
        start = adapters[-1].start + adapters[-1].size if adapters else 0
        adapters.append(place(adapter, config, arena, start))
    assert not arena.isnan().any(), "an adapter takes its own numbers and no others"
    return adapters


def _random_adapter(config: LlamaConfig, rank: int, seed: int) -> AdapterWeights:
    random = torch.Generator().manual_seed(seed)
    layers = tuple(
        {
            module: (
                torch.randn(rank, columns, generator=random) * 0.2,
                torch.randn(rows, rank, generator=random) * 0.2,
            )
            for module, (rows, columns) in config.linear_shapes().items()
        }
        for _ in range(config.layers)
    )
    return AdapterWeights(0.5, layers)


def _cache(store: KVStore, first: int) -> KVCache:
    """Blocks that are not neighbours, as after a while of use."""
    most = CONTEXT // BLOCK
    return KVCache(store, [first + (3 * at) % most for at in range(most)])


def _read(
    model: Llama, tokens: Sequence[int], adapter: PlacedAdapter | None, splits: Sequence[int]
) -> Tensor:
    """Logits `[tokens, vocabulary]` of a sequence that is read alone, in pieces of these lengths."""
    cache = _cache(KVStore(model.config, CONTEXT // BLOCK), 0)
    rows = []
    for size in splits:
        piece = tokens[cache.length : cache.length + size]
        rows.append(model.forward([Segment(piece, cache, adapter, len(piece))]))
        cache.length += len(piece)
    return torch.cat(rows)


@pytest.mark.parametrize("which", [None, 0, 1, 2, 3, 4])
def test_logits_equal_the_plain_reference_with_each_update_as_one_dense_matrix(
    float32: Llama, weights: list[AdapterWeights], placed: list[PlacedAdapter], which: int | None
) -> None:
    def dense(layer: int, module: str, x: Tensor) -> Tensor | None:
        if which is None or module not in weights[which].layers[layer]:
            return None
        a, b = weights[which].layers[layer][module]
        return x @ (weights[which].scaling * b @ a).t()

    wanted = float32.reference(TOKENS[:75], dense)
    adapter = None if which is None else placed[which]
    for splits in ([75], [40, 1, 34], [1] * 75):
        assert torch.allclose(_read(float32, TOKENS[:75], adapter, splits), wanted, atol=2e-4), splits
    if which is not None:
        assert not torch.allclose(wanted, float32.reference(TOKENS[:75]), atol=1e-2)


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_in_8_bits_a_row_is_the_same_bits_whatever_is_read_beside_it(
    int8: Llama, placed: list[PlacedAdapter], data: st.DataObject
) -> None:
    choice = st.sampled_from([None, *placed])
    adapter, length = data.draw(choice), data.draw(st.integers(2, 70))
    alone = _read(int8, TOKENS[:length], adapter, [length])
    store = KVStore(int8.config, 8 * CONTEXT // BLOCK)
    own, read = _cache(store, 0), []
    others = [_cache(store, (1 + at) * CONTEXT // BLOCK) for at in range(7)]
    while own.length < length:
        size = data.draw(st.integers(1, length - own.length))
        segments = [Segment(TOKENS[own.length : own.length + size], own, adapter, size)]
        for other in others[: data.draw(st.integers(0, 7))]:
            more = data.draw(st.integers(1, 9))
            segments.append(Segment(TOKENS[100 : 100 + more], other, data.draw(choice), 0))
        at = data.draw(st.integers(0, len(segments) - 1))
        segments.insert(at, segments.pop(0))
        read.append(int8.forward(segments))
        own.length += size
    assert torch.equal(torch.cat(read), alone)


def test_8_bits_stay_close_to_fp32(float32: Llama, int8: Llama) -> None:
    exact, near = (model.reference(TOKENS[:128]).log_softmax(-1) for model in (float32, int8))
    divergence = (exact.exp() * (exact - near)).sum(-1).mean()
    assert 0 < float(divergence) < 0.01
    plain = _read(int8, TOKENS[:128], None, [128]).log_softmax(-1)
    assert float((exact.exp() * (exact - plain)).sum(-1).mean()) < 0.01


def test_who_watches_is_shown_what_an_adapter_adds(
    int8: Llama, weights: list[AdapterWeights], placed: list[PlacedAdapter]
) -> None:
    cache = _cache(KVStore(int8.config, CONTEXT // BLOCK), 0)
    seen: dict[tuple[int, str], tuple[Tensor, Tensor]] = {}

    def watch(layer: int, name: str, x: Tensor, added: Tensor) -> None:
        seen[layer, name] = x.clone(), added

    int8.forward([Segment(TOKENS[:9], cache, placed[2])], watch)
    for layer in range(int8.config.layers):
        x, added = seen[layer, "down"]
        a, b = weights[2].layers[layer]["mlp.down_proj"]
        assert torch.allclose(added, weights[2].scaling * x @ a.t() @ b.t(), atol=1e-4)


def test_a_prompts_first_chunk_asks_for_no_logits(float32: Llama) -> None:
    cache = _cache(KVStore(float32.config, CONTEXT // BLOCK), 0)
    assert float32.forward([Segment(TOKENS[:9], cache, None, 0)]).shape == (0, float32.config.vocabulary)
