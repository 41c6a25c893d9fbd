"""Adapters on disk, as PEFT writes and reads them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.engine.data import citation_lines
from tests.engine.reference import a_spec, load_adapter, peft_model_like, randomise
from workers.engine.adapter import Adapter
from workers.engine.base_model import BaseModel
from workers.engine.batches import Batch
from workers.engine.examples import encode
from workers.engine.export import export
from workers.engine.files import sha256_of
from workers.engine.forward import hidden_states


@pytest.fixture(scope="module")
def adapter(tiny: BaseModel) -> Adapter:
    adapter = Adapter(tiny, a_spec(alpha=12.5))
    randomise(adapter)
    return adapter


def test_it_writes_the_bytes_and_settings_that_peft_writes(
    adapter: Adapter, tiny_folder: Path, tmp_path: Path
) -> None:
    written = export(adapter, tmp_path / "ours")
    peft_model_like(adapter, tiny_folder).save_pretrained(tmp_path / "peft")

    ours, theirs = (
        tmp_path / "ours" / "adapter_model.safetensors",
        tmp_path / "peft" / "adapter_model.safetensors",
    )
    assert written.sha256 == sha256_of(ours) == sha256_of(theirs)
    assert written.bytes == ours.stat().st_size
    settings, expected = (
        json.loads((tmp_path / name / "adapter_config.json").read_text()) for name in ("ours", "peft")
    )
    expected["target_modules"].sort()
    expected["base_model_name_or_path"] = "tiny-llama"
    assert settings == expected
    assert {path.name for path in ours.parent.iterdir()} == {ours.name, "adapter_config.json"}


def test_peft_loads_it_and_gives_our_logits(
    adapter: Adapter, tiny: BaseModel, tiny_folder: Path, tmp_path: Path
) -> None:
    export(adapter, tmp_path / "adapter")
    model = load_adapter(tiny_folder, tmp_path / "adapter")
    for example in encode(tiny, citation_lines(4), 1024).train:
        with torch.no_grad():
            ours = hidden_states(adapter, Batch.of([example])) @ tiny.head.t()
            theirs = model(input_ids=torch.tensor([example.tokens])).logits[0, example.prompt_length - 1 : -1]
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


def test_no_path_of_this_machine_is_written(adapter: Adapter, tiny_folder: Path, tmp_path: Path) -> None:
    export(adapter, tmp_path / "adapter")
    for path in (tmp_path / "adapter").iterdir():
        assert str(tiny_folder.parent).encode() not in path.read_bytes()
        assert str(tmp_path).encode() not in path.read_bytes()


def test_a_fresh_adapter_begins_as_peft_begins(tiny: BaseModel, tmp_path: Path) -> None:
    export(Adapter(tiny, a_spec(rank=64)), tmp_path / "adapter")
    for name, tensor in load_file(tmp_path / "adapter" / "adapter_model.safetensors").items():
        if "lora_B" in name:
            assert not tensor.any()
        else:  # Kaiming-uniform with a = √5: U(±1/√in)
            bound = tensor.shape[1] ** -0.5
            assert tensor.abs().max() <= bound
            assert tensor.std().item() == pytest.approx(bound / 3**0.5, rel=0.05)
