"""Registering a base model of the operator's own: what is taken, what is refused, what is written down."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from tests.engine.data import citation_lines
from tests.engine.families import make_family
from tests.engine.learners import nothing
from tests.engine.reference import a_spec
from workers.engine import prepare
from workers.engine.errors import EngineError
from workers.engine.examples import encode
from workers.engine.files import sha256_of
from workers.engine.general.base import GeneralBase
from workers.engine.load import load_base
from workers.engine.register import register

CODE = b"cos\nsystem\n(S'true'\ntR."


@pytest.fixture
def source(tiny_folder: Path, tmp_path: Path) -> Path:
    """A folder as an operator would bring it, with files that nobody needs."""
    folder = make_family(tmp_path / "brought", "qwen3", tokenizer_from=tiny_folder)
    (folder / "README.md").write_text("# A model")
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def test_a_folder_is_registered_described_and_learns(source: Path, home: Path) -> None:
    command = ["--home", str(home), "--from", str(source), "--name", "tiny-qwen", "--licence", "Apache-2.0"]
    assert prepare.main(command) == 0
    folder = home / "models" / "tiny-qwen"
    about = json.loads((folder / "housestyle.json").read_text())
    template = (folder / "chat_template.jinja").read_bytes()
    assert about == {
        "name": "tiny-qwen",
        "source": "brought",
        "licence": "Apache-2.0",
        "revision": sha256_of(source / "model.safetensors"),
        "chat_template_sha256": hashlib.sha256(template).hexdigest(),
        "architecture": "qwen3",
        "parameters": sum(tensor.numel() for tensor in load_file(source / "model.safetensors").values()),
        "fast_path": False,
    }
    assert not (folder / "README.md").exists()
    base = load_base(folder, "fp32")
    examples = encode(base, citation_lines(2), 512).train
    brought = GeneralBase.load(source).learner(a_spec())
    assert base.name == "tiny-qwen"
    assert base.learner(a_spec()).heldout_loss(examples, nothing) == brought.heldout_loss(examples, nothing)


def test_a_llama_goes_the_fast_path(tiny_folder: Path, home: Path) -> None:
    folder = register(home, tiny_folder, "a-llama", "MIT")
    about = json.loads((folder / "housestyle.json").read_text())
    assert (about["architecture"], about["fast_path"]) == ("llama", True)


def test_several_weights_files_have_one_revision(source: Path, home: Path) -> None:
    AutoModelForCausalLM.from_pretrained(source).save_pretrained(source, max_shard_size="3MB")
    files = sorted(source.glob("model-*.safetensors"))
    assert len(files) > 1
    (source / "model.safetensors").unlink(missing_ok=True)
    folder = register(home, source, "tiny", "MIT")
    digests = "\n".join(map(sha256_of, files))
    revision = json.loads((folder / "housestyle.json").read_text())["revision"]
    assert revision == hashlib.sha256(digests.encode()).hexdigest()
    assert GeneralBase.load(folder).parameters == GeneralBase.load(source).parameters


@pytest.mark.parametrize("mode", [0o644, 0o600])
def test_weights_share_the_disk_where_they_may_and_nothing_of_the_source_changes(
    source: Path, home: Path, mode: int
) -> None:
    weights = source / "model.safetensors"
    weights.chmod(mode)
    before = {path: (path.stat().st_mode, sha256_of(path)) for path in source.iterdir()}
    folder = register(home, source, "tiny", "MIT")
    assert (folder / weights.name).samefile(weights) == (mode == 0o644)
    assert sha256_of(folder / weights.name) == sha256_of(weights)
    assert {path: (path.stat().st_mode, sha256_of(path)) for path in source.iterdir()} == before


def change_json(name: str, **values: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return change


def change_weights(change: Callable[[dict[str, torch.Tensor]], Any]) -> Callable[[Path], None]:
    def rewrite(folder: Path) -> None:
        weights = load_file(folder / "model.safetensors")
        change(weights)
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    return rewrite


def only_a_pickle(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


AUTO_MAP = {"AutoModelForCausalLM": "modeling_evil.EvilForCausalLM"}
SPOILT: dict[str, tuple[Callable[[Path], Any], str]] = {
    "pickle beside": (
        lambda folder: (folder / "optimizer.pt").write_bytes(CODE),
        "pickle files.*optimizer.pt",
    ),
    "pickle instead": (only_a_pickle, "pickle files"),
    "code of the model": (change_json("config.json", auto_map=AUTO_MAP), "auto_map in config.json"),
    "code of the tokenizer": (
        change_json("tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.Evil", None]}),
        "auto_map in tokenizer_config.json",
    ),
    "unknown architecture": (
        change_json("config.json", model_type="evil"),
        "does not know the architecture “evil”",
    ),
    "no language model": (change_json("config.json", model_type="vit"), "does not continue text|vocab_size"),
    "quantised": (
        change_json("config.json", quantization_config={"quant_method": "gptq"}),
        "quantised already",
    ),
    "no config": (lambda folder: (folder / "config.json").unlink(), "has no config.json"),
    "broken config": (
        lambda folder: (folder / "config.json").write_text("[1"),
        "config.json is no JSON object",
    ),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "no weights in safetensors"),
    "cut weights": (
        lambda folder: (folder / "model.safetensors").write_bytes(
            (folder / "model.safetensors").read_bytes()[:-9]
        ),
        "model.safetensors is damaged",
    ),
    "missing shard": (
        lambda folder: (folder / "model.safetensors.index.json").write_text(
            json.dumps({"weight_map": {"a": "model-00001-of-00002.safetensors"}})
        ),
        "model-00001-of-00002.safetensors is missing",
    ),
    "not finite": (
        change_weights(lambda weights: weights["model.norm.weight"][3].fill_(float("nan"))),
        "not finite stand in model.norm.weight",
    ),
    "no tokenizer": (
        lambda folder: (folder / "tokenizer.json").unlink(),
        "The tokenizer in brought can't be read",
    ),
    "no chat template": (lambda folder: (folder / "chat_template.jinja").unlink(), "no chat template"),
    "another tokenizer": (change_json("config.json", vocab_size=1000), "belong together"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_what_cannot_be_trusted_or_used_is_one_sentence_and_leaves_nothing(
    source: Path, home: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil, words = SPOILT[name]
    spoil(source)
    with pytest.raises(EngineError, match=words) as refused:
        register(home, source, "tiny", "MIT")
    assert str(refused.value).count(". ") == 0
    assert list((home / "models").iterdir()) == []


@pytest.mark.parametrize("name", ["", "..", "../evil", "a b", "ü", "x" * 101, ".hidden"])
def test_a_name_is_a_folders_and_nothing_else(source: Path, home: Path, name: str) -> None:
    with pytest.raises(EngineError, match="letters, digits, dots and hyphens"):
        register(home, source, name, "MIT")


def test_a_licence_is_asked_for(source: Path, home: Path) -> None:
    with pytest.raises(EngineError, match="needs a licence"):
        register(home, source, "tiny", " ")


def test_a_registered_base_is_never_replaced(source: Path, home: Path, tiny_folder: Path) -> None:
    folder = register(home, source, "tiny", "MIT")
    before = {path.name: sha256_of(path) for path in folder.iterdir()}
    with pytest.raises(EngineError, match="is there already"):
        register(home, tiny_folder, "tiny", "MIT")
    assert {path.name: sha256_of(path) for path in folder.iterdir()} == before


def test_a_gguf_that_is_none_is_one_sentence(home: Path, tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF and no more")
    with pytest.raises(EngineError, match=r"model\.gguf is damaged"):
        register(home, tmp_path / "model.gguf", "tiny", "MIT")
    with pytest.raises(EngineError, match="neither a folder nor a GGUF file"):
        register(home, tmp_path / "nothing", "tiny", "MIT")


@pytest.mark.slow
def test_a_gguf_is_converted_once(base_folder: Path, home: Path, tmp_path: Path) -> None:
    """The GGUF of the base that every installation has, brought as an operator would."""
    module = importlib.util.find_spec(prepare.MODULE)
    assert module is not None and module.origin is not None
    shutil.copyfile(Path(module.origin).parent / prepare.GGUF, tmp_path / "brought.gguf")
    folder = register(home, tmp_path / "brought.gguf", "smol", "Apache-2.0")
    about, expected = (json.loads((where / "housestyle.json").read_text()) for where in (folder, base_folder))
    assert (about["name"], about["source"]) == ("smol", "brought.gguf")
    assert about["revision"] == expected["revision"]
    assert (folder / "tokenizer.json").read_bytes() == (base_folder / "tokenizer.json").read_bytes()
