"""The proof that an adapter is applied, and applied rightly: it must see every way in which one is not."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.serving.adapters import write_adapter
from workers.serving.about_base import AboutBase
from workers.serving.adapter_bank import AdapterBank
from workers.serving.adapter_file import AdapterWeights, read_adapter
from workers.serving.config import LlamaConfig
from workers.serving.engine import Engine, EngineOptions
from workers.serving.errors import EngineError
from workers.serving.llama import Llama
from workers.serving.lora import MODULES, PlacedAdapter, numbers_needed, place
from workers.serving.probe import Probe, ProbeFailed
from workers.serving.steps import Segment

K, V, GATE, UP = (
    MODULES.index(name) for name in ("self_attn.k_proj", "self_attn.v_proj", "mlp.gate_proj", "mlp.up_proj")
)
RANK, A, B, COLUMN = range(4)  # of PlacedAdapter.parts


@pytest.fixture(scope="module")
def config(tiny_model: Path) -> LlamaConfig:
    return LlamaConfig.read(tiny_model)


@pytest.fixture(scope="module", params=["float32", "int8"])
def model(request: pytest.FixtureRequest, tiny_model: Path, config: LlamaConfig) -> Llama:
    return Llama.load(tiny_model, config, 64, weights=request.param, calibration=range(500, 560))


@pytest.fixture(scope="module")
def probe(model: Llama) -> Probe:
    return Probe(model)


@pytest.fixture
def make(tmp_path: Path, config: LlamaConfig) -> Callable[..., tuple[AdapterWeights, PlacedAdapter]]:
    """An adapter as it stands in its file, and as it is placed between others' numbers."""

    def make(name: str = "a", **settings: Any) -> tuple[AdapterWeights, PlacedAdapter]:
        folder = write_adapter(tmp_path / name, config, **settings)
        weights = read_adapter(folder, config, AboutBase()).weights
        arena = torch.full((numbers_needed(weights) + 100,), 1e3)
        return weights, place(weights, config, arena, 50)

    return make


SOUND: dict[str, dict[str, Any]] = {
    "all linear layers": {"rank": 16},
    "some layers": {"rank": 4, "targets": ["q_proj", "down_proj"]},
    "the highest rank": {"rank": 64, "targets": ["v_proj", "o_proj", "up_proj"]},
    "half precision": {"dtype": torch.bfloat16},
    "hardly a change": {"size": 1e-4},
    "a large change": {"size": 2.0},
    "scaled": {"lora_alpha": 32, "use_rslora": True},
}


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_adapter_is_proved_and_known_again(
    probe: Probe, make: Callable[..., tuple[AdapterWeights, PlacedAdapter]], name: str
) -> None:
    weights, placed = make(**SOUND[name])
    probe.prove_again(probe.prove(weights, placed), placed)


def test_an_adapter_that_changes_nothing_is_sound(
    probe: Probe, make: Callable[..., tuple[AdapterWeights, PlacedAdapter]]
) -> None:
    weights, placed = make(size=0.0)
    assert not probe.prove(weights, placed).any()


def left_out(placed: PlacedAdapter) -> None:
    placed.parts[..., RANK] = 0


def one_module_left_out(placed: PlacedAdapter) -> None:
    placed.parts[1, V, RANK] = 0


def scaled_twice(placed: PlacedAdapter) -> None:
    for rank, _, b, _, columns in placed.parts.reshape(-1, 5):
        placed.arena[b : b + rank * columns] *= 2


def one_module_scaled(placed: PlacedAdapter) -> None:
    rank, _, b, _, columns = placed.parts[0, UP]
    placed.arena[b : b + rank * columns] *= 1.05


def keys_and_values_swapped(placed: PlacedAdapter) -> None:
    placed.parts[0, [K, V], A : B + 1] = placed.parts[0, [V, K], A : B + 1]


def columns_swapped(placed: PlacedAdapter) -> None:
    placed.parts[1, [GATE, UP], COLUMN] = placed.parts[1, [UP, GATE], COLUMN]


def layers_swapped(placed: PlacedAdapter) -> None:
    placed.parts[[0, 1]] = placed.parts[[1, 0]]


def b_not_transposed(placed: PlacedAdapter) -> None:
    rank, _, b, _, columns = placed.parts[0, K]
    numbers = placed.arena[b : b + rank * columns]
    numbers.copy_(numbers.view(rank, columns).t().flatten())


def one_off(placed: PlacedAdapter) -> None:
    placed.parts[1, GATE, A] += 1


MUTATIONS = [
    left_out, one_module_left_out, scaled_twice, one_module_scaled, keys_and_values_swapped, columns_swapped,
    layers_swapped, b_not_transposed, one_off,
]  # fmt: skip


@pytest.mark.parametrize("size", [0.2, 1e-3], ids=["large", "small"])
@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda mutate: str(mutate.__name__))
def test_it_sees_an_adapter_that_is_not_as_its_file_says(
    probe: Probe,
    make: Callable[..., tuple[AdapterWeights, PlacedAdapter]],
    mutate: Callable[[PlacedAdapter], None],
    size: float,
) -> None:
    weights, placed = make(size=size)
    mutate(placed)
    with pytest.raises(ProbeFailed):
        probe.prove(weights, placed)


@pytest.mark.parametrize("size", [0.2, 1e-3], ids=["large", "small"])
def test_it_sees_an_engine_that_applies_none(
    model: Llama,
    make: Callable[..., tuple[AdapterWeights, PlacedAdapter]],
    monkeypatch: pytest.MonkeyPatch,
    size: float,
) -> None:
    forward = model.forward

    def forgetful(segments: Sequence[Segment], watch: Any = None) -> torch.Tensor:
        return forward([dataclasses.replace(segment, adapter=None) for segment in segments], watch)

    monkeypatch.setattr(model, "forward", forgetful)
    with pytest.raises(ProbeFailed, match="would not add what its weights say"):
        Probe(model).prove(*make(size=size))


def test_it_sees_an_engine_that_applies_it_to_the_base_too(
    model: Llama,
    make: Callable[..., tuple[AdapterWeights, PlacedAdapter]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    forward, probe = model.forward, Probe(model)
    weights, placed = make()
    probe.prove(weights, placed)

    def generous(segments: Sequence[Segment], watch: Any = None) -> torch.Tensor:
        return forward([dataclasses.replace(segment, adapter=placed) for segment in segments], watch)

    monkeypatch.setattr(model, "forward", generous)
    with pytest.raises(ProbeFailed, match="other firms' requests"):
        probe.prove(weights, placed)


def test_it_sees_logits_that_do_not_come_of_the_layers(
    model: Llama,
    make: Callable[..., tuple[AdapterWeights, PlacedAdapter]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    forward, probe, adapter = model.forward, Probe(model), make()
    probe.prove(*adapter)
    monkeypatch.setattr(model, "forward", lambda segments, watch=None: forward(segments, watch).flip(0))
    with pytest.raises(ProbeFailed, match="Beside it the base"):
        probe.prove(*adapter)
    with pytest.raises(ProbeFailed, match="without any adapter"):
        Probe(model).prove(*adapter)


def test_an_adapter_that_comes_back_must_be_the_same(
    probe: Probe, make: Callable[..., tuple[AdapterWeights, PlacedAdapter]]
) -> None:
    fingerprint = probe.prove(*make("a"))
    _, other = make("b", seed=1)
    with pytest.raises(ProbeFailed, match="as it did before"):
        probe.prove_again(fingerprint, other)


def test_numbers_that_overflow_prove_nothing(
    probe: Probe, make: Callable[..., tuple[AdapterWeights, PlacedAdapter]]
) -> None:
    with pytest.raises(ProbeFailed, match="overflow"):
        probe.prove(*make(mark=1e30))


def test_what_can_not_be_proved_is_refused_logged_and_forgotten(
    probe: Probe,
    config: LlamaConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    bank = AdapterBank(config, base_name="base", root=None, arena_bytes=2**20, max_registered=2, probe=probe)
    folder = str(write_adapter(tmp_path / "a", config))
    with monkeypatch.context() as broken:
        broken.setattr("workers.serving.adapter_bank.place", misplace)
        with caplog.at_level(logging.ERROR), pytest.raises(EngineError, match="weights say") as refusal:
            bank.load("a", folder)
    assert (refusal.value.status, refusal.value.code) == (400, "bad_adapter")
    assert "The adapter a was refused" in caplog.text
    assert (bank.names(), bank.bytes, bank.resident) == ([], 0, 0)
    bank.load("a", folder)
    bank.release(bank.acquire("a"))


def test_the_engine_proves_what_it_loads(
    tiny_model: Path, config: LlamaConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(EngineOptions(model=tiny_model, max_model_len=64, lora_memory=2**20))
    folder = str(write_adapter(tmp_path / "a", config))
    monkeypatch.setattr("workers.serving.adapter_bank.place", misplace)
    with pytest.raises(EngineError, match="can't be loaded"):
        engine.load_adapter("a", folder)


def misplace(weights: AdapterWeights, config: LlamaConfig, arena: torch.Tensor, start: int) -> PlacedAdapter:
    placed = place(weights, config, arena, start)
    return dataclasses.replace(placed, parts=np.zeros_like(placed.parts))
