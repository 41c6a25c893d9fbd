"""Reading an adapter that somebody else wrote: everything is checked before any weight is used.

An adapter is `adapter_config.json` + `adapter_model.safetensors`, as PEFT writes them. Nothing is ever
unpickled, no pattern from the file is ever run, and only the settings named here are believed.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from webapp.training.spec import MAX_RANK, MIN_RANK
from workers.serving.config import LlamaConfig
from workers.serving.errors import EngineError

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"

_PICKLES = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt"}
_MAX_CONFIG_BYTES, _MAX_HEADER_BYTES = 64 * 1024, 1024 * 1024
_MAX_ALPHA = 10_000
_DTYPES = {"F32", "F16", "BF16"}
_TENSOR = re.compile(r"base_model\.model\.model\.layers\.(\d{1,4})\.([a-z_.]{1,40})\.lora_([AB])\.weight")
_NAMED_AT_MOST = 5  # tensors listed by name in one problem

# Settings that change no answer, whatever they say; `target_modules` and the numbers are read apart.
_WITHOUT_EFFECT = {
    "auto_mapping", "base_model_name_or_path", "inference_mode", "layers_pattern",
    "lora_dropout", "megatron_core", "peft_version", "qalora_group_size", "revision", "task_type",
}  # fmt: skip
_READ = {
    "peft_type", "r", "lora_alpha", "use_rslora", "target_modules", "layers_to_transform",
    "init_lora_weights", "bias",
}  # fmt: skip


@dataclass(frozen=True)
class AdapterWeights:
    """A checked adapter: per layer `{module: (A [rank, in], B [out, rank])}`, and what to multiply B with."""

    scaling: float
    layers: tuple[dict[str, tuple[Tensor, Tensor]], ...]


@dataclass(frozen=True)
class _Settings:
    """What is believed of a configuration; None where it said nothing usable."""

    rank: int | None
    scaling: float
    targets: frozenset[str] | None
    layers: frozenset[int] | None  # None for all of them


def read_adapter(folder: Path, config: LlamaConfig) -> AdapterWeights:
    """The adapter in `folder`, checked against the base. Raises EngineError with every problem it found."""
    problems = _file_problems(folder)
    _raise(problems)
    settings = _read_settings(folder / CONFIG, problems)
    data = _read_bytes(folder / WEIGHTS, _largest(config), problems)
    problems += _tensor_problems(_read_header(data, problems), config, settings)
    _raise(problems)
    try:
        tensors = load(data)
    except SafetensorError:
        raise _refusal([f"{WEIGHTS} is damaged."]) from None
    broken = [name for name, tensor in tensors.items() if not bool(torch.isfinite(tensor).all())]
    if broken:
        raise _refusal([f"Numbers that are not finite stand in {_some(broken)}."])
    layers: list[dict[str, tuple[Tensor, Tensor]]] = [{} for _ in range(config.layers)]
    for name, a in tensors.items():
        match = _TENSOR.fullmatch(name)
        if match and match[3] == "A":
            layers[int(match[1])][match[2]] = (a, tensors[_other_half(name)])
    return AdapterWeights(settings.scaling, tuple(layers))


def _file_problems(folder: Path) -> list[str]:
    if not folder.is_dir():
        return ["There is no adapter folder at this path."]
    problems = [
        f"The folder has no file {name}."
        for name in (CONFIG, WEIGHTS)
        if (folder / name).is_symlink() or not (folder / name).is_file()
    ]
    if any(path.suffix in _PICKLES for path in folder.iterdir()):
        problems.append("The folder holds pickle files, which can run code: keep the safetensors file only.")
    return problems


def _read_settings(path: Path, problems: list[str]) -> _Settings:
    """The few settings that are believed; the rest must be without effect."""
    try:
        values = json.loads(_read_bytes(path, _MAX_CONFIG_BYTES, problems))
        if not isinstance(values, dict):
            raise ValueError
    except (ValueError, RecursionError):
        problems.append(f"{CONFIG} is not a JSON object.")
        return _Settings(None, 0.0, None, None)
    if values.get("peft_type") != "LORA":
        problems.append("The adapter is not of the kind LORA.")
    if values.get("bias", "none") != "none":
        problems.append("Biases can't be adapted here.")
    if values.get("init_lora_weights", True) not in (True, False, None, "gaussian"):
        problems.append("Its init_lora_weights changes the base model's weights, which all firms share.")
    unknown = sorted(name for name, value in values.items() if value and name not in _READ | _WITHOUT_EFFECT)
    if unknown:
        problems.append(f"These settings are not supported: {_some(unknown)}.")
    rank, targets = _rank(values, problems), _targets(values, problems)
    alpha = _alpha(values, problems)
    divisor = math.sqrt(rank or 1) if values.get("use_rslora") is True else rank or 1
    return _Settings(rank, alpha / divisor, targets, _layers(values, problems))


def _rank(values: dict[str, Any], problems: list[str]) -> int | None:
    rank = values.get("r")
    if type(rank) is int and MIN_RANK <= rank <= MAX_RANK:
        return rank
    problems.append(f"The rank must be a whole number from {MIN_RANK} to {MAX_RANK}.")
    return None


def _alpha(values: dict[str, Any], problems: list[str]) -> float:
    alpha = values.get("lora_alpha")
    if isinstance(alpha, int | float) and not isinstance(alpha, bool) and 0 < alpha <= _MAX_ALPHA:
        return float(alpha)
    problems.append(f"The scaling (lora_alpha) must be a number above 0 and at most {_MAX_ALPHA}.")
    return 0.0


def _targets(values: dict[str, Any], problems: list[str]) -> frozenset[str] | None:
    """Names only: PEFT also takes a regular expression, and one can be written to hang whoever runs it."""
    targets = values.get("target_modules")
    if isinstance(targets, list) and targets and all(isinstance(target, str) for target in targets):
        return frozenset(targets)
    problems.append("The target modules must be a list of names.")
    return None


def _layers(values: dict[str, Any], problems: list[str]) -> frozenset[int] | None:
    """The layers that are changed, where not all are: PEFT writes the topmost ones as a list."""
    layers = values.get("layers_to_transform")
    if layers is None:
        return None
    listed = layers if isinstance(layers, list) else [layers]
    if all(type(layer) is int for layer in listed):
        return frozenset(listed)
    problems.append("The layers (layers_to_transform) must be a list of whole numbers.")
    return None


def _read_bytes(path: Path, limit: int, problems: list[str]) -> bytes:
    """The whole file, held in memory so that it can't change after it was checked; cut above `limit`."""
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        problems.append(f"{path.name} is larger than any adapter for this base model ({limit} bytes).")
    return data


def _largest(config: LlamaConfig) -> int:
    """Bytes of the largest adapter that this base can carry: every module, the highest rank, fp32."""
    numbers = (
        sum(rows + columns for rows, columns in config.linear_shapes().values()) * MAX_RANK * config.layers
    )
    return 4 * numbers + _MAX_HEADER_BYTES


def _read_header(data: bytes, problems: list[str]) -> dict[str, Any]:
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


def _tensor_problems(header: dict[str, Any], config: LlamaConfig, settings: _Settings) -> list[str]:
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
    return [problem.format(_some(names)) for names, problem in found if names]


def _other_half(name: str) -> str:
    """The name of A's B, or of B's A."""
    return name.replace("lora_A", "lora_B") if ".lora_A." in name else name.replace("lora_B", "lora_A")


def _some(names: list[str]) -> str:
    """The first few names, cut to a readable length, and how many more there are."""
    shown = ", ".join(name[:100] for name in names[:_NAMED_AT_MOST])
    more = len(names) - _NAMED_AT_MOST
    return f"{shown} and {more} more" if more > 0 else shown


def _raise(problems: list[str]) -> None:
    if problems:
        raise _refusal(problems)


def _refusal(problems: list[str]) -> EngineError:
    return EngineError(
        "The adapter can't be loaded. " + " ".join(problems), param="lora_path", code="bad_adapter"
    )
