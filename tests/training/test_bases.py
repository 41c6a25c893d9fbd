"""Which base models there are: those that HOME/models describes, and the one that is served."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from webapp.core.errors import Unavailable
from webapp.training import selectors


def describe(folder: Path, name: str, **more: Any) -> Path:
    folder.mkdir(parents=True)
    about = {"name": name, "revision": "a" * 64, "chat_template_sha256": "b" * 64, **more}
    (folder / "housestyle.json").write_text(json.dumps(about))
    return folder


@pytest.fixture
def models(settings: Any, tmp_path: Path) -> Path:
    """HOME/models with a served base and two others."""
    settings.HOME = tmp_path
    models = tmp_path / "models"
    settings.BASE_MODEL_DIR = describe(models / "middle", "middle")
    describe(
        models / "a-first", "a-first", architecture="qwen3", parameters=7, fast_path=False, licence="MIT"
    )
    describe(models / "z-last", "z-last")
    return models


def test_the_served_base_comes_first_and_the_others_by_name(models: Path) -> None:
    found = selectors.base_models()
    assert [base.name for base in found] == ["middle", "a-first", "z-last"]
    assert [base.is_served for base in found] == [True, False, False]


def test_a_base_is_found_by_name_and_the_served_one_without(models: Path) -> None:
    assert selectors.base_model().name == "middle"
    found = selectors.base_model("a-first")
    assert (found.folder, found.architecture) == (models / "a-first", "qwen3")
    assert (found.parameters, found.fast_path, found.licence) == (7, False, "MIT")
    with pytest.raises(Unavailable, match="“nobody” is not registered here"):
        selectors.base_model("nobody")


def test_a_served_base_that_lies_elsewhere_is_one_of_them(
    models: Path, settings: Any, tmp_path: Path
) -> None:
    settings.BASE_MODEL_DIR = describe(tmp_path / "elsewhere", "shared")
    assert [base.name for base in selectors.base_models()] == ["shared", "a-first", "middle", "z-last"]


def test_half_written_and_damaged_ones_are_left_out(models: Path) -> None:
    describe(models / ".z-new.x1", "z-new")  # being written beside
    (models / "empty").mkdir()
    (describe(models / "damaged", "damaged") / "housestyle.json").write_text("{")
    (describe(models / "partial", "partial") / "housestyle.json").write_text('{"name": "partial"}')
    assert [base.name for base in selectors.base_models()] == ["middle", "a-first", "z-last"]


def test_without_any_there_is_nothing_to_train_on(settings: Any, tmp_path: Path) -> None:
    settings.HOME, settings.BASE_MODEL_DIR = tmp_path, tmp_path / "models" / "none"
    assert selectors.base_models() == []
    with pytest.raises(Unavailable, match="not prepared yet"):
        selectors.base_model()
