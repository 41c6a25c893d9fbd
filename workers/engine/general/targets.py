"""Which linear layers of an architecture learn, and under which names PEFT finds exactly those again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch

from workers.engine.errors import EngineError

_ATTENTION = ("attn", "attention")  # in the names of the modules that hold an attention's linear layers


@dataclass(frozen=True)
class Decoder:
    """The stack of decoder layers of a model: `path` is `model.layers` in a Llama, `transformer.h` in GPT-2.

    `linears` are the names of the linear layers within one decoder layer, over all of them.
    """

    path: str
    layers: int
    linears: tuple[str, ...]

    @classmethod
    def of(cls, model: Any) -> Decoder:
        """Raises EngineError when the model has no such stack, or one without linear layers."""
        count = model.config.get_text_config(decoder=True).num_hidden_layers
        stacks = [
            (path, module)
            for path, module in model.named_modules()
            if isinstance(module, torch.nn.ModuleList) and len(module) == count
        ]
        for path, stack in stacks:
            names = {name for layer in stack for name, part in layer.named_modules() if _is_linear(part)}
            if any(_is_attention(name) for name in names):
                return cls(path, count, tuple(sorted(names)))
        raise EngineError(
            f"Training does not find the decoder layers of a “{model.config.model_type}”: "
            "choose another base model."
        )

    @property
    def pattern(self) -> str:
        """What PEFT calls `layers_pattern`: the name of the stack, `layers`."""
        return self.path.rpartition(".")[2]

    @property
    def prefix(self) -> str:
        """The modules above the stack, `model.`; empty when there is none."""
        return self.path.removesuffix(self.pattern)

    def chosen(self, target: str) -> tuple[str, ...]:
        """The linear layers that learn, by their names in a decoder layer: all, or those of attention."""
        return tuple(name for name in self.linears if target != "attention" or _is_attention(name))


def peft_targets(model: Any, decoder: Decoder, names: Iterable[str]) -> list[str]:
    """The shortest `target_modules` with which PEFT finds `names` in every decoder layer, and nothing else.

    PEFT takes every module whose name ends like that: `c_proj` alone would be an attention's and an MLP's.
    """
    wanted = set(names)
    stack = f"{decoder.path}."
    kinds: dict[str, bool] = {}  # every linear layer without its layer's number: whether it is wanted
    for path, module in model.named_modules():
        if _is_linear(module):
            inside = path.removeprefix(stack).partition(".")[2] if path.startswith(stack) else ""
            kinds[inside or path] = inside in wanted
    return sorted({_shortest(name, kinds) for name in wanted})


def _shortest(name: str, kinds: dict[str, bool]) -> str:
    parts = name.split(".")
    endings = [".".join(parts[-length:]) for length in range(1, len(parts) + 1)]
    for ending in endings:
        matched = [kind for kind in kinds if kind == ending or kind.endswith(f".{ending}")]
        if all(kinds[kind] for kind in matched):
            return ending
    raise EngineError(
        f"The base model has several layers that end in {name}, and only some can learn: choose another base."
    )


def _is_linear(module: Any) -> bool:
    """torch's own, bitsandbytes' (which inherit from it), and GPT-2's transposed one."""
    return isinstance(module, torch.nn.Linear) or type(module).__name__ == "Conv1D"


def _is_attention(name: str) -> bool:
    """Whether a linear layer is an attention's, by the modules that hold it: `self_attn.q_proj` is."""
    return any(word in part for part in name.split(".")[:-1] for word in _ATTENTION)
