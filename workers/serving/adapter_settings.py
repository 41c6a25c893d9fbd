"""What an adapter says of itself: the few settings that are believed; the rest must be without effect."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from webapp.training.spec import MAX_RANK, MIN_RANK
from workers.serving.about_base import ABOUT, AboutBase, name_of
from workers.serving.chat_template import sha256_of

CONFIG = "adapter_config.json"

_MAX_ALPHA = 10_000
_NAMED_AT_MOST = 5  # things listed by name in one problem

# Settings that change no answer, whatever they say; `target_modules` and the numbers are read apart.
_WITHOUT_EFFECT = {
    "auto_mapping", "inference_mode", "layers_pattern", "lora_dropout",
    "megatron_core", "peft_version", "qalora_group_size", "revision", "task_type",
}  # fmt: skip
_READ = {
    "base_model_name_or_path", "bias", "init_lora_weights", "layers_to_transform", "lora_alpha",
    "peft_type", "r", "target_modules", "use_rslora",
}  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """What is believed of a configuration; None where it said nothing usable."""

    rank: int | None
    scaling: float
    targets: frozenset[str] | None
    layers: frozenset[int] | None  # None for all of them
    base_name: str | None


def read_settings(data: bytes, problems: list[str]) -> Settings:
    """Of `adapter_config.json`, as PEFT writes it; what is wrong with it is added to `problems`."""
    values = _object(CONFIG, data, problems)
    if values is None:
        return Settings(None, 0.0, None, None, None)
    if values.get("peft_type") != "LORA":
        problems.append("The adapter is not of the kind LORA.")
    if values.get("bias", "none") != "none":
        problems.append("Biases can't be adapted here.")
    if values.get("init_lora_weights", True) not in (True, False, None, "gaussian"):
        problems.append("Its init_lora_weights changes the base model's weights, which all firms share.")
    unknown = sorted(name for name, value in values.items() if value and name not in _READ | _WITHOUT_EFFECT)
    if unknown:
        problems.append(f"These settings are not supported: {some(unknown)}.")
    rank, targets = _rank(values, problems), _targets(values, problems)
    alpha = _alpha(values, problems)
    divisor = math.sqrt(rank or 1) if values.get("use_rslora") is True else rank or 1
    name = values.get("base_model_name_or_path")
    return Settings(
        rank, alpha / divisor, targets, _layers(values, problems), name if isinstance(name, str) else None
    )


def check_base(settings: Settings, about: bytes | None, base: AboutBase, problems: list[str]) -> str | None:
    """Whether the adapter was trained on this base, as far as it says; the template's SHA-256 that it names.

    `about` is the adapter's `housestyle.json`. Its revision decides; an adapter from elsewhere has none, and
    then the base's name must be one that this base goes by.
    """
    said = _object(ABOUT, about, problems) if about is not None else {}
    revision, template = (
        value if isinstance(value, str) else None
        for value in ((said or {}).get(key) for key in ("base_revision", "chat_template_sha256"))
    )
    if revision:
        if revision != base.revision:
            problems.append(
                f"It was trained on another base model (revision {revision[:12]}) than the one served here "
                f"(revision {(base.revision or 'unknown')[:12]})."
            )
    elif settings.base_name and base.names and name_of(settings.base_name) not in base.names:
        problems.append(
            f"It was trained on the base model “{settings.base_name[:100]}”, which is not served here."
        )
    return template or None


def check_template(
    own: str | None, named_sha256: str | None, base: AboutBase, problems: list[str]
) -> str | None:
    """The template for the adapter's conversations where it brings one that is not the base's, else None."""
    if own is None:
        if named_sha256 not in (None, base.chat_template_sha256):
            problems.append(
                "It was trained with another chat template than the base model's and doesn't bring its own "
                "(chat_template.jinja)."
            )
        return None
    found = sha256_of(own)
    if named_sha256 not in (None, found):
        problems.append("The chat template beside it is not the one it was trained with.")
    if found == base.chat_template_sha256:
        return None
    try:
        ImmutableSandboxedEnvironment(extensions=[loopcontrols]).from_string(own)
    except (TemplateError, RecursionError):
        problems.append("Its chat template is no valid Jinja template.")
    return own


def some(names: list[str]) -> str:
    """The first few names, cut to a readable length, and how many more there are."""
    shown = ", ".join(name[:100] for name in names[:_NAMED_AT_MOST])
    more = len(names) - _NAMED_AT_MOST
    return f"{shown} and {more} more" if more > 0 else shown


def _object(name: str, data: bytes, problems: list[str]) -> dict[str, Any] | None:
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        values = None
    if isinstance(values, dict):
        return values
    problems.append(f"{name} is not a JSON object.")
    return None


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
