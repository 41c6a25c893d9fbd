"""Full fine-tuning through plain transformers, to compare adapters with: every weight learns.

`python -m benchmarks.full JOB` reads a JSON file `{"base", "batches", "rates", "chosen_by", "heldout"}` and
prints `{"seconds", "trained", "chosen_by_loss", "heldout_loss"}`: the seconds of all steps, the parameters
that learnt, and the loss of both held-out sets after the last step.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from benchmarks.heldout import label_losses, mean_loss


def main(path: str) -> None:
    job: dict[str, Any] = json.loads(Path(path).read_text())
    model: Any = AutoModelForCausalLM.from_pretrained(job["base"], dtype=torch.float32)
    parameters = list(model.parameters())
    optimiser = torch.optim.AdamW(parameters, lr=0.0, weight_decay=0.0)
    began = time.perf_counter()
    model.train()
    for batch, rate in zip(job["batches"], job["rates"], strict=True):
        for group in optimiser.param_groups:
            group["lr"] = rate
        labels = sum(len(tokens) - prompt for tokens, prompt in batch)
        for (
            tokens,
            prompt,
        ) in batch:  # one after the other: no padding, and one example's activations at a time
            (label_losses(model, torch.tensor([tokens]), prompt).sum() / labels).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        optimiser.zero_grad()
    said = {"seconds": time.perf_counter() - began, "trained": sum(one.numel() for one in parameters)}
    said |= {f"{which}_loss": mean_loss(model, job[which]) for which in ("chosen_by", "heldout")}
    print(json.dumps(said))


if __name__ == "__main__":
    main(sys.argv[1])
