"""The engines that the protocol is tried on: the embedded one always, the real vLLM in `make test-vllm`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.engines.marks import make_marked, marks
from tests.engines.vllm import running_vllm
from tests.models import vllm_model_folder
from tests.serving.engines import TOKEN, RunningEngine, running_engine
from webapp.serving.engine_settings import Kind, Replica

KINDS = [Kind.EMBEDDED, Kind.VLLM] if os.environ.get("HOUSESTYLE_TEST_VLLM") else [Kind.EMBEDDED]
ADAPTERS = 30
SLOTS = ADAPTERS + 2
SPARE = 4  # adapters beyond those that fit


@dataclass(frozen=True)
class Marked:
    """An adapter's files, and the word that it answers with."""

    folder: Path
    mark: str


@pytest.fixture(scope="session")
def base() -> Path:
    return vllm_model_folder()


@pytest.fixture(scope="session")
def marked(base: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Marked]:
    """Adapters that each answer with a mark of their own, more than a vLLM of ours has places for."""
    root = tmp_path_factory.mktemp("marked")
    return [
        Marked(make_marked(base, root / mark, token), mark) for token, mark in marks(base, ADAPTERS + SPARE)
    ]


@pytest.fixture(scope="session", params=KINDS)
def running(
    request: pytest.FixtureRequest, base: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningEngine]:
    if request.param is Kind.VLLM:
        log = tmp_path_factory.mktemp("vllm") / "vllm.log"
        with running_vllm(base, log, slots=SLOTS) as engine:
            yield engine
    else:
        with running_engine(base, "--max-model-len", "1024") as engine:
            yield engine


@pytest.fixture
def replica(running: RunningEngine, request: pytest.FixtureRequest) -> Replica:
    kind = request.node.callspec.params["running"]
    return Replica("tested", kind, running.url, TOKEN, SLOTS if kind is Kind.VLLM else None)


@pytest.fixture
def as_only_engine(replica: Replica, base: Path, settings: Any) -> Replica:
    """Lets the web code in this process ask this engine, of whose base all adapters are."""
    settings.ENGINES, settings.BASE_MODEL_DIR = (replica,), base
    return replica
