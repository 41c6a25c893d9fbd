"""What the device's own description holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from workers.engine import device
from workers.host_memory import host_memory


def test_it_prints_what_the_table_of_devices_keeps(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from webapp.training.models import Device

    assert device.main(["--base", str(tiny_folder), "--work", str(tmp_path / "not" / "there")]) == 0
    said = json.loads(capsys.readouterr().out)
    kept = {field.name for field in Device._meta.concrete_fields} - {"id", "seen_at"}
    assert set(said) == kept
    assert said["kind"] in ("cpu", "cuda")
    assert said["memory_bytes"] <= said["host_memory_bytes"] or said["kind"] == "cuda"
    assert 0 < said["matrix_flops"] < 1e16


def test_without_a_base_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert device.main(["--base", str(tmp_path), "--work", str(tmp_path)]) == 1
    assert "There are no weights in" in capsys.readouterr().err


def test_a_containers_limit_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = host_memory()

    def limited(path: Path, *_: str) -> str:
        return str(whole // 2) if path.name == "memory.max" else "max"

    monkeypatch.setattr(Path, "read_text", limited)
    assert host_memory() == whole // 2
