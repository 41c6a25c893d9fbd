"""One tiny model, four adapters and one running engine for all tests of the engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from tests.models import tiny_model_folder
from tests.serving.engines import TOKEN, RunningEngine, make_adapter, running_engine
from workers.serving.text import TextModel


@pytest.fixture(scope="session")
def tiny_model() -> Path:
    return tiny_model_folder()


@pytest.fixture(scope="session")
def adapters_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("adapters")


@pytest.fixture(scope="session")
def adapters(tiny_model: Path, adapters_root: Path) -> dict[str, Path]:
    """Adapters of the lowest, the usual and the highest rank, for all and for some of the linear layers."""
    made = {
        "rank-4": {"rank": 4, "targets": ("q_proj", "v_proj")},
        "rank-16": {"rank": 16},
        "rank-64": {"rank": 64, "targets": ("o_proj", "up_proj", "down_proj")},
        "rank-8-rs": {"rank": 8, "targets": ("k_proj", "gate_proj"), "use_rslora": True},
        "top-layer": {
            "rank": 8,
            "layers_to_transform": [1],
            "layers_pattern": ["layers"],
            "lora_dropout": 0.1,
        },
    }
    return {
        name: make_adapter(tiny_model, adapters_root / name, seed=seed, **settings)  # type: ignore[arg-type]
        for seed, (name, settings) in enumerate(made.items())
    }


@pytest.fixture(scope="session")
def narrow_engine(tiny_model: Path, adapters_root: Path) -> Iterator[RunningEngine]:
    """An engine that answers one request at a time, while one more of each firm may wait."""
    narrow = ("--max-num-seqs", "1", "--max-waiting", "2")
    with running_engine(tiny_model, *narrow, "--adapters-root", str(adapters_root)) as running:
        yield running


@pytest.fixture(scope="session")
def engine(tiny_model: Path, adapters_root: Path, adapters: dict[str, Path]) -> Iterator[RunningEngine]:
    """A running engine that has loaded `adapters`. Tests that load more unload it again.

    Its weights are the base's own, so that its numbers can be compared; tests/live.py has one in 8 bits.
    """
    with running_engine(tiny_model, "--weights", "float32", "--adapters-root", str(adapters_root)) as running:
        for name, folder in adapters.items():
            assert running.load(name, folder).status_code == 200
        yield running


@pytest.fixture(scope="session")
def client(engine: RunningEngine) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{engine.url}/v1", api_key=TOKEN, max_retries=0) as client:
        yield client


@pytest.fixture(scope="session")
def text(tiny_model: Path) -> TextModel:
    return TextModel(tiny_model)
