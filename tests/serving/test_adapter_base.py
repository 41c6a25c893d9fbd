"""An adapter goes on the base it was trained on, with the chat template it was trained with, or nowhere."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from tests.serving.adapters import ABOUT, CONFIG, write_adapter
from workers.serving.about_base import AboutBase
from workers.serving.adapter_file import AdapterFile, FilesChanged, read_adapter, read_again
from workers.serving.chat_template import find_chat_template, sha256_of
from workers.serving.config import LlamaConfig
from workers.serving.errors import EngineError, StartError

OWN = "{% for message in messages %}{{ message.content }}{% endfor %}"


@pytest.fixture(scope="module")
def config(tiny_model: Path) -> LlamaConfig:
    return LlamaConfig.read(tiny_model)


@pytest.fixture(scope="module")
def base(tiny_model: Path) -> AboutBase:
    return AboutBase.read(tiny_model)


@pytest.fixture
def adapter(tmp_path: Path, config: LlamaConfig) -> Path:
    return write_adapter(tmp_path / "adapter", config)


def say(folder: Path, **values: str | None) -> None:
    (folder / ABOUT).write_text(json.dumps(values))


def refused(folder: Path, config: LlamaConfig, base: AboutBase) -> str:
    with pytest.raises(EngineError) as refusal:
        read_adapter(folder, config, base)
    assert (refusal.value.status, refusal.value.param) == (400, "lora_path")
    return refusal.value.message


def test_what_is_known_of_a_base_is_what_it_says_and_what_it_uses(tiny_model: Path, base: AboutBase) -> None:
    about = json.loads((tiny_model / ABOUT).read_text())
    assert base.revision == about["revision"]
    assert base.chat_template_sha256 == about["chat_template_sha256"]
    assert {tiny_model.name, "tiny-llama"} <= base.names


def test_a_base_with_a_damaged_description_does_not_start(tmp_path: Path) -> None:
    (tmp_path / ABOUT).write_text("{")
    with pytest.raises(StartError, match="prepare it again"):
        AboutBase.read(tmp_path)


def test_an_adapter_of_this_base_is_read(adapter: Path, config: LlamaConfig, base: AboutBase) -> None:
    say(adapter, base_revision=base.revision, chat_template_sha256=base.chat_template_sha256)
    assert read_adapter(adapter, config, base).chat_template is None


@pytest.mark.parametrize("name", ["tiny-llama", "org/Tiny-Llama", "/elsewhere/tiny-llama/", ""])
def test_an_adapter_from_elsewhere_is_known_by_its_bases_name(
    tmp_path: Path, config: LlamaConfig, base: AboutBase, name: str
) -> None:
    read_adapter(write_adapter(tmp_path / "a", config, base_model_name_or_path=name), config, base)


def test_it_refuses_an_adapter_of_another_base(tmp_path: Path, config: LlamaConfig, base: AboutBase) -> None:
    folder = write_adapter(tmp_path / "a", config, base_model_name_or_path="org/other-llama")
    assert "“org/other-llama”, which is not served here" in refused(folder, config, base)


def test_the_revision_decides_and_not_the_name(tmp_path: Path, config: LlamaConfig, base: AboutBase) -> None:
    renamed = write_adapter(tmp_path / "renamed", config, base_model_name_or_path="org/other-llama")
    say(renamed, base_revision=base.revision)
    read_adapter(renamed, config, base)
    changed = write_adapter(tmp_path / "changed", config, base_model_name_or_path="tiny-llama")
    say(changed, base_revision="5" * 64)
    assert "another base model (revision 555555555555)" in refused(changed, config, base)
    assert "(revision unknown)" in refused(changed, config, dataclasses.replace(base, revision=None))


def test_an_adapter_with_a_template_of_its_own_keeps_it(
    adapter: Path, config: LlamaConfig, base: AboutBase
) -> None:
    (adapter / "chat_template.jinja").write_text(OWN)
    say(adapter, chat_template_sha256=sha256_of(OWN))
    assert read_adapter(adapter, config, base).chat_template == OWN


def test_a_template_among_a_tokenizers_settings_counts(
    adapter: Path, config: LlamaConfig, base: AboutBase
) -> None:
    (adapter / "tokenizer_config.json").write_text(json.dumps({"chat_template": OWN}))
    assert read_adapter(adapter, config, base).chat_template == OWN


def test_the_bases_template_beside_an_adapter_is_the_bases(
    adapter: Path, config: LlamaConfig, base: AboutBase, tiny_model: Path
) -> None:
    template = find_chat_template(tiny_model)
    assert template is not None
    (adapter / "chat_template.jinja").write_text(template)
    assert read_adapter(adapter, config, base).chat_template is None


def test_it_refuses_a_template_it_does_not_have(adapter: Path, config: LlamaConfig, base: AboutBase) -> None:
    say(adapter, chat_template_sha256="5" * 64)
    assert "another chat template" in refused(adapter, config, base)
    (adapter / "chat_template.jinja").write_text(OWN)
    assert "not the one it was trained with" in refused(adapter, config, base)


@pytest.mark.parametrize("template", [b"{% for %}", b"{% import 'os' as os %}{% endfor %}", b"\xff\xfe"])
def test_it_refuses_a_broken_template(
    adapter: Path, config: LlamaConfig, base: AboutBase, template: bytes
) -> None:
    (adapter / "chat_template.jinja").write_bytes(template)
    assert "template" in refused(adapter, config, base)


@pytest.mark.parametrize("name", [ABOUT, "chat_template.jinja", "tokenizer_config.json"])
def test_it_refuses_links_and_what_is_too_large(
    adapter: Path, config: LlamaConfig, base: AboutBase, tmp_path: Path, name: str
) -> None:
    (tmp_path / "secret").write_text("{}")
    (adapter / name).symlink_to(tmp_path / "secret")
    assert f"plain files: {name}" in refused(adapter, config, base)
    (adapter / name).unlink()
    (adapter / name).write_text(" " * 2**21)
    assert f"{name} is larger than" in refused(adapter, config, base)


def test_it_tells_every_problem_at_once(tmp_path: Path, config: LlamaConfig, base: AboutBase) -> None:
    folder = write_adapter(tmp_path / "a", config, rank=2, use_dora=True)
    (folder / "chat_template.jinja").write_text("{% if %}")
    say(folder, base_revision="5" * 64, chat_template_sha256="5" * 64)
    message = refused(folder, config, base)
    for said in ("use_dora", "from 4 to 64", "another base model", "not the one it was", "no valid Jinja"):
        assert said in message


def test_nothing_of_the_weights_is_read_before_all_else_is_right(
    adapter: Path, config: LlamaConfig, base: AboutBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*arguments: object) -> None:
        raise AssertionError("the weights were read")

    monkeypatch.setattr("workers.serving.adapter_file.load", read)
    say(adapter, base_revision="5" * 64)
    assert "another base model" in refused(adapter, config, base)
    say(adapter)
    with pytest.raises(AssertionError, match="the weights were read"):
        read_adapter(adapter, config, base)


def test_it_reads_again_what_is_the_same_byte_by_byte(
    adapter: Path, config: LlamaConfig, base: AboutBase
) -> None:
    first = read_adapter(adapter, config, base)
    assert same(read_again(adapter, config, base, first.sha256), first)
    values = json.loads((adapter / CONFIG).read_text())
    (adapter / CONFIG).write_text(json.dumps(values, indent=1))
    with pytest.raises(FilesChanged):
        read_again(adapter, config, base, first.sha256)


def same(one: AdapterFile, other: AdapterFile) -> bool:
    pairs = zip(one.weights.layers, other.weights.layers, strict=True)
    return one.sha256 == other.sha256 and all(
        a[module][half].equal(b[module][half]) for a, b in pairs for module in a for half in (0, 1)
    )
