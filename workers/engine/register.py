"""Registering a base model that an operator brings: checked, copied under HOME/models, and described.

    python -m workers.engine.prepare --home HOME --from FOLDER_OR_GGUF --name NAME --licence LICENCE

Nothing is ever unpickled, no code that comes with a model is ever run, and nothing is downloaded.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import torch
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from workers.engine.base_model import fast_path_problem, stop_tokens_of
from workers.engine.convert import ABOUT, convert_gguf, told
from workers.engine.errors import EngineError
from workers.engine.examples import encode_one
from workers.engine.files import sha256_of, whole_folder
from workers.engine.general.targets import Decoder
from workers.engine.learner import Base
from workers.engine.weights import WeightFiles

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
PICKLES = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt"}
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json")
INDEX = "model.safetensors.index.json"
# What is taken from a folder beside weights and tokenizer; the rest stays where it is.
CONFIGS = ("config.json", "generation_config.json", INDEX)
_SAMPLE = "The Court held in 347 U. S. 483, 495 (1954), that “separate” isn't equal.\n\n§ 1983 — naïve."


def register(home: Path, source: Path, name: str, licence: str) -> Path:
    """Check the model at `source` and register it as `name`; returns its folder. Raises EngineError."""
    folder = home / "models" / name
    if not NAME.fullmatch(name):
        raise EngineError("A base model's name is of letters, digits, dots and hyphens: choose such a one.")
    if not licence.strip():
        raise EngineError("A base model needs a licence: say which with --licence, for example “Apache-2.0”.")
    if folder.exists():
        raise EngineError(f"A base model {name} is there already: choose another name, or remove {folder}.")
    try:
        with whole_folder(folder) as beside:
            if source.is_dir():
                _take(source, beside)
            elif source.suffix == ".gguf" and source.is_file():
                convert_gguf(source, beside, name)
            else:
                raise EngineError(f"{source} is neither a folder nor a GGUF file: name one with --from.")
            describe(beside, name=name, source=source.name, licence=licence.strip())
    except FileExistsError:
        raise EngineError(f"Another process registered {name} meanwhile.") from None
    except OSError as error:
        raise EngineError(
            f"The base model could not be registered ({error.strerror or error}): "
            "make room or mend the folder, then start again."
        ) from error
    return folder


def describe(folder: Path, *, name: str, source: str, licence: str) -> None:
    """Check the model that lies in `folder`, and write down what it is. Raises EngineError."""
    with told("checking architecture and tokenizer"):
        config = _config(folder)
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        _check_architecture(config)
        _check_chat(folder, config, tokenizer)
    with told("checking weights"):
        digests = [_checked_sha256(path) for path in _weights(folder)]
    about = {
        "name": name,
        "source": source,
        "licence": licence,
        "revision": _revision(digests),
        "chat_template_sha256": hashlib.sha256(tokenizer.chat_template.encode()).hexdigest(),
        "architecture": config.model_type,
        "parameters": WeightFiles(folder).parameters,
        "fast_path": fast_path_problem(config) is None,
    }
    (folder / ABOUT).write_text(json.dumps(about, indent=2) + "\n", "utf-8")


def _take(source: Path, folder: Path) -> None:
    """Weights, configuration and tokenizer of a model in safetensors, and nothing else of it."""
    _refuse_code(source)
    weights = _weights(source)
    with told("reading tokenizer"):
        tokenizer = _tokenizer(source)
        tokenizer.save_pretrained(folder)
        again = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        if tokenizer(_SAMPLE)["input_ids"] != again(_SAMPLE)["input_ids"]:
            raise EngineError(
                "The tokenizer changes when it is written as tokenizer.json: choose another base."
            )
    with told("copying weights"):
        for path in weights:
            _link_or_copy(path, folder / path.name)
        for name in CONFIGS:
            if (source / name).is_file():
                shutil.copyfile(source / name, folder / name)


def _refuse_code(source: Path) -> None:
    """Raises EngineError for what could run code when somebody reads it."""
    pickles = sorted(path.name for path in source.iterdir() if path.suffix in PICKLES)
    if pickles:
        raise EngineError(
            f"The folder holds pickle files, which can run code ({pickles[0]}): keep the safetensors only."
        )
    for path in sorted(source.glob("*config.json")):
        if "auto_map" in _json(path):
            raise EngineError(
                f"This model wants to run code of its own (auto_map in {path.name}): choose one that "
                "transformers knows by itself."
            )


def _config(folder: Path) -> Any:
    values = _json(folder / "config.json")
    if values.get("quantization_config"):
        raise EngineError(
            "These weights are quantised already: bring them whole; a run can still hold them in 4 bits."
        )
    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EngineError(
            f"transformers does not know the architecture “{values.get('model_type')}”: choose another base."
        ) from error


def _check_architecture(config: Any) -> None:
    """Raises EngineError unless it is a language model with decoder layers that can learn."""
    try:
        with torch.device("meta"):  # the modules, without memory for their weights
            model = AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
                config, trust_remote_code=False
            )
    except ValueError as error:
        raise EngineError(
            f"A “{config.model_type}” does not continue text: choose a causal language model."
        ) from error
    Decoder.of(model)


def _tokenizer(source: Path) -> Any:
    problem = EngineError(f"The tokenizer in {source.name} can't be read: bring the whole folder.")
    if not any((source / name).is_file() for name in TOKENIZERS):
        raise problem  # transformers would make up an empty one
    try:
        return AutoTokenizer.from_pretrained(source, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise problem from error


def _check_chat(folder: Path, config: Any, tokenizer: Any) -> None:
    """Raises EngineError unless a conversation becomes an example as in training."""
    text = config.get_text_config(decoder=True)
    if len(tokenizer) > text.vocab_size:
        raise EngineError(
            f"The tokenizer has {len(tokenizer)} tokens and the model {text.vocab_size}: "
            "bring a tokenizer and a model that belong together."
        )
    if not tokenizer.is_fast:
        raise EngineError("The model has no tokenizer that can be written as tokenizer.json: choose another.")
    told_back = tokenizer.decode(tokenizer(_SAMPLE, add_special_tokens=False)["input_ids"])
    if told_back.split() != _SAMPLE.split():
        raise EngineError("The tokenizer does not give back the text that it read: choose another base.")
    base = SimpleNamespace(tokenizer=tokenizer, stop_tokens=stop_tokens_of(folder, text))
    encode_one(cast(Base, base), "How is this cited?", _SAMPLE)


def _weights(folder: Path) -> list[Path]:
    """The safetensors files, all that an index names among them. Raises EngineError."""
    found = sorted(folder.glob("model*.safetensors"))
    if not found:
        raise EngineError(
            f"{folder} holds no weights in safetensors (model.safetensors): bring them so, or as GGUF."
        )
    index = folder / INDEX
    named = set(_json(index).get("weight_map", {}).values()) if index.is_file() else set()
    if missing := sorted(named - {path.name for path in found}):
        raise EngineError(f"The weights are not complete, {missing[0]} is missing: bring the whole folder.")
    return found


def _checked_sha256(path: Path) -> str:
    """The file's SHA-256. Raises EngineError where it is damaged or a number in it is not finite."""
    try:
        for name, tensor in _tensors(path):
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor.float()).all()):
                raise EngineError(
                    f"Numbers that are not finite stand in {name} of {path.name}: choose another base."
                )
    except (SafetensorError, RuntimeError) as error:
        raise EngineError(f"{path.name} is damaged: bring it again.") from error
    return sha256_of(path)


def _tensors(path: Path) -> Iterator[tuple[str, torch.Tensor]]:
    with safe_open(path, framework="pt") as file:
        for name in file.keys():  # noqa: SIM118
            yield name, file.get_tensor(name)


def _revision(digests: list[str]) -> str:
    """One SHA-256 over all weights files: the file's own where there is one, else that of their digests."""
    return digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _link_or_copy(source: Path, target: Path) -> None:
    """A second name for the same file where both may share it, which costs no disk; else a copy."""
    file = source.resolve()
    found = file.stat()
    if found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) == 0o644:  # as registered files are
        try:
            os.link(file, target)
            return
        except OSError:
            pass  # another file system, or one without links
    shutil.copyfile(file, target)


def _json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text("utf-8"))
        if not isinstance(values, dict):
            raise ValueError
        return values
    except FileNotFoundError:
        raise EngineError(f"{path.parent.name} has no {path.name}: bring the whole folder.") from None
    except ValueError:
        raise EngineError(f"{path.name} is no JSON object: bring the folder again.") from None
