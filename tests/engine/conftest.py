from __future__ import annotations

from pathlib import Path

import pytest

from tests.models import base_model_folder, tiny_model_folder
from workers.engine.base_model import BaseModel


@pytest.fixture(scope="session")
def base_folder() -> Path:
    """The real base model."""
    return base_model_folder()


@pytest.fixture(scope="session")
def tiny_folder() -> Path:
    return tiny_model_folder()


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> BaseModel:
    return BaseModel.load(tiny_folder)
