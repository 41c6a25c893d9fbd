"""The held-out loss of any adapter, by code that is none of the trainers': plain transformers and PEFT."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from peft import PeftModel
from transformers import AutoModelForCausalLM
from transformers.utils.logging import disable_progress_bar

Examples = Sequence[tuple[Sequence[int], int]]  # tokens, and how many of them are the prompt's

warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
disable_progress_bar()  # type: ignore[no-untyped-call]


def heldout_loss(base: Path, adapter: Path | None, examples: Examples) -> float:
    """The mean negative log likelihood of a label (natural logarithm) under the base with `adapter`."""
    model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    if adapter is not None:
        model = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()
    return mean_loss(model, examples)


@torch.no_grad()
def mean_loss(model: Any, examples: Examples) -> float:
    """The same of a model of transformers, one example after the other, so that nothing is padded."""
    model.eval()
    total, labels = 0.0, 0
    for tokens, prompt in examples:
        total += label_losses(model, torch.tensor([tokens]), prompt).sum().item()
        labels += len(tokens) - prompt
    return total / labels


def label_losses(model: Any, tokens: torch.Tensor, prompt: int) -> torch.Tensor:
    """The negative log likelihood of each label of `tokens` `[1, length]`; logits only where one is."""
    hidden = model.model(input_ids=tokens[:, :-1]).last_hidden_state[0, prompt - 1 :]
    return F.cross_entropy(model.lm_head(hidden), tokens[0, prompt:], reduction="none")
