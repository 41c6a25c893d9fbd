"""Loading and unloading adapters, and every kind that is refused before its weights are used."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.serving.engines import RunningEngine
from tests.serving.test_requests import refusal

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
Q_PROJ_A = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"


@pytest.fixture
def copied(adapters: dict[str, Path], adapters_root: Path, tmp_path: Path) -> Path:
    """A copy of a sound adapter, to be spoilt by a test."""
    return shutil.copytree(adapters["rank-16"], adapters_root / f"copy-of-{tmp_path.name}")


def configure(folder: Path, **changes: Any) -> None:
    path = folder / CONFIG
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def reweigh(folder: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS)


def refused(engine: RunningEngine, folder: Path) -> str:
    """The sentence with which the adapter is refused; nothing of it may stay behind."""
    error = refusal(engine.load("bad", folder), 400)
    assert "bad" not in {card["id"] for card in engine.http.get("/v1/models").json()["data"]}
    assert engine.complete("bad", "Hello").status_code == 404
    return str(error["message"])


def test_an_adapter_is_loaded_answers_and_is_unloaded(engine: RunningEngine, copied: Path) -> None:
    assert engine.load("lo-1", copied).status_code == 200
    shutil.rmtree(copied)  # the engine keeps its own copy of the weights
    same = engine.complete("rank-16", "The lease").json()["choices"]
    assert engine.complete("lo-1", "The lease").json()["choices"] == same
    assert engine.unload("lo-1").status_code == 200
    assert engine.complete("lo-1", "The lease").status_code == 404


def test_it_refuses_to_load_a_name_twice(engine: RunningEngine, adapters: dict[str, Path]) -> None:
    error = refusal(engine.load("rank-4", adapters["rank-16"]), 400)
    assert error["code"] == "already_loaded"


@pytest.mark.parametrize("name", ["base", "", "../x", "a b", "ü", "x" * 129, "-x"])
def test_it_refuses_a_name_that_is_the_bases_or_no_name(
    engine: RunningEngine, adapters: dict[str, Path], name: str
) -> None:
    assert refusal(engine.load(name, adapters["rank-4"]), 400)["param"] == "lora_name"


def test_unloading_an_unknown_adapter_is_404(engine: RunningEngine) -> None:
    assert refusal(engine.unload("lo-unknown"), 404)["code"] == "model_not_found"
    assert refusal(engine.unload("base"), 404)["code"] == "model_not_found"


@pytest.mark.parametrize("rank", [0, 3, 65, 4096, "16", True, None])
def test_it_refuses_a_rank_outside_4_to_64(engine: RunningEngine, copied: Path, rank: Any) -> None:
    configure(copied, r=rank)
    assert "from 4 to 64" in refused(engine, copied)


def test_it_refuses_weights_of_another_rank_than_they_say(engine: RunningEngine, copied: Path) -> None:
    configure(copied, r=8)
    assert "does not fit the rank" in refused(engine, copied)


def test_it_refuses_weights_of_layers_that_are_not_listed(engine: RunningEngine, copied: Path) -> None:
    """PEFT would leave those out, and answer otherwise than this engine."""
    configure(copied, layers_to_transform=[1])
    assert "not listed in layers_to_transform: base_model.model.model.layers.0." in refused(engine, copied)


@pytest.mark.parametrize("layers", ["all", [0, "1"], [True], {"0": 1}])
def test_it_refuses_layers_that_are_no_numbers(engine: RunningEngine, copied: Path, layers: Any) -> None:
    configure(copied, layers_to_transform=layers)
    assert "a list of whole numbers" in refused(engine, copied)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_it_refuses_numbers_that_are_not_finite(engine: RunningEngine, copied: Path, number: float) -> None:
    reweigh(copied, lambda tensors: tensors[Q_PROJ_A][3].fill_(number))
    message = refused(engine, copied)
    assert "not finite" in message
    assert Q_PROJ_A in message


def test_it_refuses_pickles_beside_and_instead(engine: RunningEngine, copied: Path) -> None:
    (copied / "adapter_model.bin").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    assert "pickle" in refused(engine, copied)
    (copied / WEIGHTS).unlink()
    assert "pickle" in refused(engine, copied)


def test_it_refuses_a_pickle_under_the_right_name(engine: RunningEngine, copied: Path) -> None:
    (copied / WEIGHTS).write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    assert "not a safetensors file" in refused(engine, copied)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff" * 64,
        (2**40).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        (9).to_bytes(8, "little") + b'{"a": 12}',
    ],
)
def test_it_refuses_a_broken_safetensors_file(engine: RunningEngine, copied: Path, data: bytes) -> None:
    (copied / WEIGHTS).write_bytes(data)
    assert "not a safetensors file" in refused(engine, copied)


def test_it_refuses_a_file_cut_short(engine: RunningEngine, copied: Path) -> None:
    whole = (copied / WEIGHTS).read_bytes()
    (copied / WEIGHTS).write_bytes(whole[:-100])
    assert "damaged" in refused(engine, copied)


def test_it_refuses_a_file_larger_than_any_adapter(engine: RunningEngine, copied: Path) -> None:
    with (copied / WEIGHTS).open("ab") as file:
        file.truncate(2**30)
    assert "larger than any adapter" in refused(engine, copied)


def test_it_refuses_integers(engine: RunningEngine, copied: Path) -> None:
    reweigh(copied, lambda tensors: tensors.update({Q_PROJ_A: tensors[Q_PROJ_A].to(torch.int32)}))
    assert "fp32, fp16 or bf16" in refused(engine, copied)


def test_it_refuses_an_a_without_its_b(engine: RunningEngine, copied: Path) -> None:
    reweigh(copied, lambda tensors: tensors.pop(Q_PROJ_A))
    assert "other half" in refused(engine, copied)


@pytest.mark.parametrize(
    "name",
    [
        "base_model.model.model.embed_tokens.lora_A.weight",
        "base_model.model.model.layers.999.self_attn.q_proj.lora_A.weight",
        "base_model.model.model.layers.0.self_attn.q_proj.weight",
        "base_model.model.lm_head.weight",
    ],
)
def test_it_refuses_tensors_that_are_no_adapters(engine: RunningEngine, copied: Path, name: str) -> None:
    reweigh(copied, lambda tensors: tensors.update({name: torch.zeros(16, 64)}))
    assert name in refused(engine, copied)


def test_it_refuses_modules_the_configuration_does_not_name(engine: RunningEngine, copied: Path) -> None:
    configure(copied, target_modules=["q_proj"])
    assert "not named in target_modules: down_proj, gate_proj" in refused(engine, copied)


@pytest.mark.parametrize("targets", ["(a+)+$", "all-linear", [], None, [1]])
def test_it_refuses_targets_that_are_no_list_of_names(
    engine: RunningEngine, copied: Path, targets: Any
) -> None:
    configure(copied, target_modules=targets)
    assert "list of names" in refused(engine, copied)


@pytest.mark.parametrize(
    "changes",
    [
        {"use_dora": True},
        {"rank_pattern": {"q_proj": 8}},
        {"alpha_pattern": {"q_proj": 8}},
        {"modules_to_save": ["lm_head"]},
        {"fan_in_fan_out": True},
        {"layer_replication": [[0, 1]]},
        {"trainable_token_indices": [5]},
        {"a_setting_from_the_future": 1},
    ],
)
def test_it_refuses_settings_that_would_change_the_answers(
    engine: RunningEngine, copied: Path, changes: dict[str, Any]
) -> None:
    configure(copied, **changes)
    message = refused(engine, copied)
    assert "not supported" in message
    assert next(iter(changes)) in message


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"peft_type": "IA3"}, "kind LORA"),
        ({"bias": "all"}, "Biases"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights"),
        ({"lora_alpha": -1}, "lora_alpha"),
        ({"lora_alpha": "32"}, "lora_alpha"),
        ({"lora_alpha": 1e300}, "lora_alpha"),
    ],
)
def test_it_refuses_other_kinds_of_adapters(
    engine: RunningEngine, copied: Path, changes: dict[str, Any], said: str
) -> None:
    configure(copied, **changes)
    assert said in refused(engine, copied)


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "[" * 60_000, '{"a": "' + "x" * 70_000 + '"}'])
def test_it_refuses_a_configuration_that_is_no_object(engine: RunningEngine, copied: Path, text: str) -> None:
    (copied / CONFIG).write_text(text)
    refused(engine, copied)


def test_it_tells_every_problem_at_once(engine: RunningEngine, copied: Path) -> None:
    configure(copied, r=2, use_dora=True, target_modules="q.*", bias="all")
    reweigh(copied, lambda tensors: tensors.pop(Q_PROJ_A))
    message = refused(engine, copied)
    for said in ("from 4 to 64", "use_dora", "list of names", "Biases", "other half"):
        assert said in message


def test_it_refuses_paths_outside_the_adapters_root(
    engine: RunningEngine, adapters: dict[str, Path], adapters_root: Path, tmp_path: Path
) -> None:
    outside = shutil.copytree(adapters["rank-4"], tmp_path / "outside")
    link = adapters_root / f"link-{tmp_path.name}"
    link.symlink_to(outside, target_is_directory=True)
    for path in (outside, adapters_root / ".." / outside.name, link, Path("/etc"), Path("relative")):
        assert "outside the folder of adapters" in refused(engine, path)


def test_it_refuses_links_in_place_of_files(engine: RunningEngine, copied: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / WEIGHTS
    (copied / WEIGHTS).rename(elsewhere)
    (copied / WEIGHTS).symlink_to(elsewhere)
    assert f"no file {WEIGHTS}" in refused(engine, copied)


@pytest.mark.parametrize("path", ["", "no-such-folder", "nul\0byte"])
def test_it_refuses_a_path_with_nothing_there(engine: RunningEngine, adapters_root: Path, path: str) -> None:
    folder = f"{adapters_root}/{path}" if path else str(adapters_root)
    body = {"lora_name": "bad", "lora_path": folder}
    refusal(engine.http.post("/v1/load_lora_adapter", json=body), 400)


def test_it_refuses_an_adapter_whose_numbers_overflow(engine: RunningEngine, copied: Path) -> None:
    def enlarge(tensors: dict[str, torch.Tensor]) -> None:
        for tensor in tensors.values():
            tensor.fill_(1e30)

    reweigh(copied, enlarge)
    assert "overflow" in refused(engine, copied)
    assert engine.complete("rank-16", "Hello").status_code == 200
    assert engine.http.get("/health").status_code == 200
