from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.models import base_model_folder
from tests.product import Product, running_product


@pytest.fixture(scope="package")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """The product on the real base model."""
    home: Path = tmp_path_factory.mktemp("product")
    with running_product(home=home, model=base_model_folder()) as running:
        yield running
