"""Reading an adapter that somebody else wrote: everything is checked before any weight is read.

An adapter is `adapter_config.json` + `adapter_model.safetensors`, as PEFT writes them, with or without a chat
template and a `housestyle.json`. Nothing is ever unpickled, no pattern from a file is ever run, and only the
settings named in `adapter_settings` are believed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from webapp.training.spec import MAX_RANK
from workers.serving import chat_template
from workers.serving.about_base import ABOUT, AboutBase
from workers.serving.adapter_settings import CONFIG, Settings, check_base, check_template, read_settings, some
from workers.serving.config import LlamaConfig
from workers.serving.errors import EngineError

WEIGHTS = "adapter_model.safetensors"

_PICKLES = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt"}
_MAX_HEADER_BYTES = 1024 * 1024
_LIMITS = {  # bytes of the small files
    CONFIG: 64 * 1024,
    ABOUT: 64 * 1024,
    chat_template.FILE: 64 * 1024,
    chat_template.SETTINGS: 1024 * 1024,
}
_DTYPES = {"F32", "F16", "BF16"}
_TENSOR = re.compile(r"base_model\.model\.model\.layers\.(\d{1,4})\.([a-z_.]{1,40})\.lora_([AB])\.weight")


class FilesChanged(Exception):
    """The files are not, byte by byte, those that were read before."""


@dataclass(frozen=True)
class AdapterWeights:
    """A checked adapter: per layer `{module: (A [rank, in], B [out, rank])}`, and what to multiply B with."""

    scaling: float
    layers: tuple[dict[str, tuple[Tensor, Tensor]], ...]


@dataclass(frozen=True)
class AdapterFile:
    """What was read: the weights, the chat template if it is not the base's, the SHA-256 of each file."""

    weights: AdapterWeights
    chat_template: str | None
    sha256: dict[str, str]


def read_adapter(folder: Path, config: LlamaConfig, base: AboutBase) -> AdapterFile:
    """The adapter in `folder`, checked against the base. Raises OSError, EngineError with every problem."""
    _raise(_file_problems(folder))
    small = _read_small(folder)
    with (folder / WEIGHTS).open("rb") as file:
        start = _read_start(file)
        size = os.fstat(file.fileno()).st_size
        settings, template = _check(small, start, size, config, base)
        data = start + file.read(size - len(start))
    return AdapterFile(_weights(data, config, settings), template, _sha256(small, data))


def read_again(folder: Path, config: LlamaConfig, base: AboutBase, known: dict[str, str]) -> AdapterFile:
    """The adapter in `folder`, if its files still have the SHA-256 `known`. Raises OSError, FilesChanged."""
    if _file_problems(folder):
        raise FilesChanged
    small = _read_small(folder)
    with (folder / WEIGHTS).open("rb") as file:
        data = file.read(_largest(config) + 1)
    if _sha256(small, data) != known:
        raise FilesChanged
    settings, template = _check(small, data, len(data), config, base)
    return AdapterFile(_weights(data, config, settings), template, known)


def _file_problems(folder: Path) -> list[str]:
    if not folder.is_dir():
        return ["There is no adapter folder at this path."]
    problems = [
        f"The folder has no file {name}."
        for name in (CONFIG, WEIGHTS)
        if (folder / name).is_symlink() or not (folder / name).is_file()
    ]
    names = [path.name for path in folder.iterdir() if path.name in _LIMITS and not path.is_file()]
    links = [path.name for path in folder.iterdir() if path.name in _LIMITS and path.is_symlink()]
    if strange := sorted({*names, *links} - {CONFIG}):
        problems.append(f"These must be plain files: {some(strange)}.")
    if any(path.suffix in _PICKLES for path in folder.iterdir()):
        problems.append("The folder holds pickle files, which can run code: keep the safetensors file only.")
    return problems


def _read_small(folder: Path) -> dict[str, bytes]:
    """The files beside the weights, held in memory so that they can't change after they were checked; each
    is cut right above its limit."""
    found: dict[str, bytes] = {}
    for name, limit in _LIMITS.items():
        if (folder / name).is_file():
            with (folder / name).open("rb") as file:
                found[name] = file.read(limit + 1)
    return found


def _read_start(file: BinaryIO) -> bytes:
    """The part of a safetensors file that describes its tensors: 8 bytes of length, then JSON."""
    length = file.read(8)
    return length + file.read(min(int.from_bytes(length, "little"), _MAX_HEADER_BYTES))


def _check(
    small: dict[str, bytes], start: bytes, size: int, config: LlamaConfig, base: AboutBase
) -> tuple[Settings, str | None]:
    """What the adapter says, and its own chat template. Raises EngineError with all that is wrong with the
    small files and with the weights' description, of which `start` holds at least the whole."""
    problems = [
        f"{name} is larger than {_LIMITS[name]} bytes."
        for name, data in small.items()
        if len(data) > _LIMITS[name]
    ]
    if problems:  # cut as they are, they would only seem to be damaged
        raise _refusal(problems)
    settings = read_settings(small[CONFIG], problems)
    template = _template(small, check_base(settings, small.get(ABOUT), base, problems), base, problems)
    if size > _largest(config):
        problems.append(
            f"{WEIGHTS} is larger than any adapter for this base model ({_largest(config)} bytes)."
        )
    problems += _tensor_problems(_header(start, problems), config, settings)
    _raise(problems)
    return settings, template


def _template(
    small: dict[str, bytes], named_sha256: str | None, base: AboutBase, problems: list[str]
) -> str | None:
    try:
        own = chat_template.chat_template_of(small.get(chat_template.FILE), small.get(chat_template.SETTINGS))
    except (ValueError, RecursionError):
        problems.append("The chat template beside it can't be read.")
        return None
    return check_template(own, named_sha256, base, problems)


def _weights(data: bytes, config: LlamaConfig, settings: Settings) -> AdapterWeights:
    """The tensors of a checked file. Raises EngineError for one that is cut, and for NaN and infinity."""
    try:
        tensors = load(data)
    except SafetensorError:
        raise _refusal([f"{WEIGHTS} is damaged."]) from None
    broken = [name for name, tensor in tensors.items() if not _is_finite(tensor)]
    if broken:
        raise _refusal([f"Numbers that are not finite stand in {some(broken)}."])
    layers: list[dict[str, tuple[Tensor, Tensor]]] = [{} for _ in range(config.layers)]
    for name, a in tensors.items():
        match = _TENSOR.fullmatch(name)
        if match and match[3] == "A":
            layers[int(match[1])][match[2]] = (a, tensors[_other_half(name)])
    return AdapterWeights(settings.scaling, tuple(layers))


def _is_finite(tensor: Tensor) -> bool:
    # A sum is not finite if one number isn't, and is many times quicker to make than a mask; but it may also
    # overflow by itself.
    return bool(tensor.sum(dtype=torch.float32).isfinite()) or bool(torch.isfinite(tensor).all())


def _sha256(small: dict[str, bytes], weights: bytes) -> dict[str, str]:
    return {name: hashlib.sha256(data).hexdigest() for name, data in (*small.items(), (WEIGHTS, weights))}


def _largest(config: LlamaConfig) -> int:
    """Bytes of the largest adapter that this base can carry: every module, the highest rank, fp32."""
    numbers = (
        sum(rows + columns for rows, columns in config.linear_shapes().values()) * MAX_RANK * config.layers
    )
    return 4 * numbers + _MAX_HEADER_BYTES


def _header(data: bytes, problems: list[str]) -> dict[str, Any]:
    """A safetensors file's description of its tensors: 8 bytes of length, then JSON."""
    size = int.from_bytes(data[:8], "little")
    try:
        if not 2 <= size <= min(_MAX_HEADER_BYTES, len(data) - 8):
            raise ValueError
        header = json.loads(data[8 : 8 + size])
        header.pop("__metadata__", None)
        if not header or not all(isinstance(entry["shape"], list) for entry in header.values()):
            raise ValueError
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        problems.append(f"{WEIGHTS} is not a safetensors file with tensors in it.")
        return {}
    return dict(header)


def _tensor_problems(header: dict[str, Any], config: LlamaConfig, settings: Settings) -> list[str]:
    """What is wrong with names, pairs, dtypes and shapes, as the file describes its tensors."""
    shapes = config.linear_shapes()
    strange, alone, dtypes, sizes, unnamed, unlisted = [], [], [], [], set(), []
    for name, entry in header.items():
        match = _TENSOR.fullmatch(name)
        if match is None or match[2] not in shapes or int(match[1]) >= config.layers:
            strange.append(name)
            continue
        out_size, in_size = shapes[match[2]]
        if _other_half(name) not in header:
            alone.append(name)
        if entry.get("dtype") not in _DTYPES:
            dtypes.append(name)
        expected = [settings.rank, in_size] if match[3] == "A" else [out_size, settings.rank]
        if settings.rank is not None and entry["shape"] != expected:
            sizes.append(name)
        module = match[2].rpartition(".")[2]
        if settings.targets is not None and module not in settings.targets:
            unnamed.add(module)
        if settings.layers is not None and int(match[1]) not in settings.layers:
            unlisted.append(name)
    found = (
        (strange, "Tensors that fit no linear layer of the base model: {}."),
        (alone, "Tensors whose other half (A or B) is missing: {}."),
        (dtypes, "Tensors that are not fp32, fp16 or bf16: {}."),
        (sizes, "Tensors whose shape does not fit the rank and the base model: {}."),
        (sorted(unnamed), "Modules that are changed but not named in target_modules: {}."),
        (unlisted, "Tensors of layers that are not listed in layers_to_transform: {}."),
    )
    return [problem.format(some(names)) for names, problem in found if names]


def _other_half(name: str) -> str:
    """The name of A's B, or of B's A."""
    return name.replace("lora_A", "lora_B") if ".lora_A." in name else name.replace("lora_B", "lora_A")


def _raise(problems: list[str]) -> None:
    if problems:
        raise _refusal(problems)


def _refusal(problems: list[str]) -> EngineError:
    return EngineError(
        "The adapter can't be loaded. " + " ".join(problems), param="lora_path", code="bad_adapter"
    )
