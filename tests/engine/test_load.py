"""Which of the two ways a base is computed in."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.engine.families import make_family
from workers.engine import load
from workers.engine.base_model import BaseModel
from workers.engine.errors import EngineError
from workers.engine.general.base import GeneralBase
from workers.engine.load import Way, load_base, resolve, way_of


@pytest.mark.parametrize(
    ("fast", "precision", "mode", "quickest", "expected"),
    [
        (True, "auto", "auto", "fp32", Way("fast", "fp32", "resident")),
        (True, "fp32", "resident", "bf16", Way("fast", "fp32", "resident")),
        (True, "auto", "auto", "bf16", Way("general", "bf16", "resident")),
        (True, "bf16", "auto", "fp32", Way("general", "bf16", "resident")),
        (True, "auto", "streamed", "bf16", Way("fast", "fp32", "streamed")),
        (True, "auto", "nf4", "bf16", Way("general", "bf16", "nf4")),
        (False, "auto", "auto", "fp32", Way("general", "fp32", "resident")),
        (False, "fp16", "resident", "bf16", Way("general", "fp16", "resident")),
    ],
)
def test_the_way_follows_from_architecture_spec_and_device(
    fast: bool, precision: str, mode: str, quickest: str, expected: Way
) -> None:
    assert resolve(fast=fast, precision=precision, mode=mode, quickest=quickest) == expected


@pytest.mark.parametrize(
    ("fast", "precision", "words"), [(False, "auto", "Llama, Mistral and Qwen2"), (True, "bf16", "in fp32")]
)
def test_streaming_of_what_cannot_be_streamed_is_a_sentence(fast: bool, precision: str, words: str) -> None:
    with pytest.raises(EngineError, match=words):
        resolve(fast=fast, precision=precision, mode="streamed", quickest="fp32")


def test_each_base_is_read_for_its_way(tiny_folder: Path, tmp_path: Path) -> None:
    resident = load_base(tiny_folder, "fp32")
    assert isinstance(resident, BaseModel) and not resident.streamed
    streamed = load_base(tiny_folder, "auto", "streamed")
    assert isinstance(streamed, BaseModel) and streamed.streamed
    in_bf16 = load_base(tiny_folder, "bf16")
    assert isinstance(in_bf16, GeneralBase) and in_bf16.precision == "bf16"
    other = load_base(make_family(tmp_path / "qwen3", "qwen3", tokenizer_from=tiny_folder), "fp32")
    assert isinstance(other, GeneralBase) and other.precision == "fp32"


def test_the_device_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([1.0, 3.1, 1.0, 2.9])  # bf16, fp32, twice
    monkeypatch.setattr(load, "_seconds", lambda device, dtype: next(seconds))
    load.quickest_precision.cache_clear()
    try:
        assert load.quickest_precision("cpu") == load.quickest_precision("cpu") == "bf16"
        load.quickest_precision.cache_clear()
        assert load.quickest_precision("cpu") == "fp32"
    finally:
        load.quickest_precision.cache_clear()


def test_a_folder_that_holds_no_base_is_a_sentence(tiny_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="nowhere can't be read: prepare it again"):
        way_of(tmp_path / "nowhere")
    copy = shutil.copytree(tiny_folder, tmp_path / "a-model")
    (copy / "config.json").write_text("{ not what it was")
    with pytest.raises(EngineError, match="a-model can't be read: prepare it again"):
        way_of(copy)


def test_code_that_comes_with_a_model_is_never_run(tiny_folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny_folder, tmp_path / "a-model")
    (copy / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Evil: pass\n")
    config = json.loads((copy / "config.json").read_text())
    auto_map = {"AutoConfig": "evil.Evil", "AutoModelForCausalLM": "evil.Evil"}
    (copy / "config.json").write_text(json.dumps(config | {"model_type": "evil", "auto_map": auto_map}))
    with pytest.raises(EngineError):
        load_base(copy)
    assert not (tmp_path / "ran").exists()
