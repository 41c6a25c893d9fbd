"""Trains an adapter with a peer; run by the peers' own Python, so it imports nothing of the project.

`python training_peer.py JOB` reads a JSON file `{"peer", "base", "batches", "chats", "initial", "spec",
"output"}`, trains, writes the adapter to `output` and prints `{"seconds", "tokens", "losses",
"learning_rates", "peak_bytes"}` on its last line: per step its seconds and its real tokens. The job's batches
are `[[[tokens, prompt length], ...], ...]`; `initial` is a safetensors file with the A and B to begin with.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model, set_peft_model_state_dict
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

Job = dict[str, Any]
Said = dict[str, list[float]]

IGNORED = -100  # as a label
PACKED = (
    2  # sequences a step, of TRL's default length of 1,024: about as many tokens as the other's steps hold
)


def main(path: str) -> None:
    job: Job = json.loads(Path(path).read_text())
    torch.manual_seed(job["spec"]["seed"])
    _check_template(job)
    said: Job = dict(PEERS[job["peer"]](job))
    status = Path("/proc/self/status").read_text().splitlines()
    said["peak_bytes"] = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024
    print(json.dumps(said))


def with_trl(job: Job) -> Said:
    """TRL's SFTTrainer and its defaults, but for fp32 and no checkpointing."""
    return _sft(job, {"per_device_train_batch_size": job["spec"]["batch_size"]})


def with_trl_packing(job: Job) -> Said:
    return _sft(job, {"packing": True, "per_device_train_batch_size": PACKED})


def with_loop(job: Job) -> Said:
    """The loop that everybody writes: padded to the longest of the batch, AdamW, a schedule, clipping."""
    model = get_peft_model(_model(job), _lora(job))
    _begin(model, job)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=job["spec"]["learning_rate"], weight_decay=0.0)
    rate = _rate(len(job["batches"]), job["spec"])
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, rate)
    said: Said = {"seconds": [], "tokens": [], "losses": [], "learning_rates": []}
    model.train()
    for batch in job["batches"]:
        began = time.perf_counter()
        loss = model(**_padded(batch)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        said["learning_rates"].append(float(schedule.get_last_lr()[0]))
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
        said["losses"].append(loss.item())
        said["seconds"].append(time.perf_counter() - began)
        said["tokens"].append(sum(len(tokens) for tokens, _ in batch))
    model.save_pretrained(job["output"])
    return said


def _sft(job: Job, settings: dict[str, Any]) -> Said:
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    spec = job["spec"]
    said: Said = {"seconds": [], "tokens": [], "losses": [], "learning_rates": []}

    class Scheduled(SFTTrainer):  # type: ignore[misc, unused-ignore]
        """With our schedule: transformers' own begins at a rate of zero."""

        def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
            rate = _rate(num_training_steps, spec)
            self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer or self.optimizer, rate)
            return self.lr_scheduler

        def training_step(self, model: Any, inputs: Any, *rest: Any, **more: Any) -> Any:
            said["tokens"].append(_real_tokens(inputs))
            said["learning_rates"].append(float(self.lr_scheduler.get_last_lr()[0]))
            loss = super().training_step(model, inputs, *rest, **more)
            said["losses"].append(loss.item())
            return loss

    class Watch(TrainerCallback):  # type: ignore[misc, unused-ignore]
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            self.before = time.perf_counter()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            now = time.perf_counter()
            said["seconds"].append(now - self.before)
            self.before = now

    rows = [example for batch in job["batches"] for example in batch]
    dataset = Dataset.from_dict(
        {
            "input_ids": [tokens for tokens, _ in rows],
            "completion_mask": [[0] * prompt + [1] * (len(tokens) - prompt) for tokens, prompt in rows],
        }
    )
    config = SFTConfig(
        output_dir=str(Path(job["output"]).with_suffix(".trl")),
        bf16=False,
        gradient_checkpointing=False,
        use_cpu=True,
        completion_only_loss=True,
        num_train_epochs=1,
        learning_rate=spec["learning_rate"],
        train_sampling_strategy="sequential",
        seed=spec["seed"],
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        **settings,
    )
    assert config.weight_decay == 0 and config.max_grad_norm == 1
    trainer = Scheduled(
        model=_model(job),
        args=config,
        train_dataset=dataset,
        processing_class=AutoTokenizer.from_pretrained(job["base"]),
        peft_config=_lora(job),
        callbacks=[Watch()],
    )
    _begin(trainer.model, job)
    trainer.train()
    trainer.model.save_pretrained(job["output"])
    return said


def _model(job: Job) -> Any:
    return AutoModelForCausalLM.from_pretrained(job["base"], dtype=torch.float32)


def _lora(job: Job) -> LoraConfig:
    spec = job["spec"]
    return LoraConfig(
        r=spec["rank"],
        lora_alpha=spec["alpha"],
        lora_dropout=0.0,
        target_modules=job["target_modules"],
        task_type="CAUSAL_LM",
    )


def _begin(model: Any, job: Job) -> None:
    """Let the model's A and B be those that all begin with. Raises AssertionError where any is missing."""
    initial = load_file(job["initial"])
    missed: Any = set_peft_model_state_dict(model, initial)
    assert not missed.unexpected_keys, missed.unexpected_keys[:3]
    learnt = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert len(learnt) == len(initial) and all(p.dtype == torch.float32 for p in learnt.values())


def _rate(steps: int, spec: Job) -> Callable[[int], float]:
    """The share of the learning rate at a step counted from 0: a linear warm-up, then a cosine to zero."""
    warmup: int = round(spec["warmup_share"] * steps)

    def share(step: int) -> float:
        if step + 1 <= warmup:
            return (step + 1) / warmup
        past = min(1.0, (step - warmup) / (steps - warmup))
        return (1 + math.cos(math.pi * past)) / 2

    return share


def _padded(batch: Sequence[tuple[list[int], int]]) -> dict[str, torch.Tensor]:
    longest = max(len(tokens) for tokens, _ in batch)
    columns: dict[str, list[list[int]]] = {"input_ids": [], "attention_mask": [], "labels": []}
    for tokens, prompt in batch:
        more = longest - len(tokens)
        columns["input_ids"].append([*tokens, *[0] * more])
        columns["attention_mask"].append([1] * len(tokens) + [0] * more)
        columns["labels"].append([IGNORED] * prompt + tokens[prompt:] + [IGNORED] * more)
    return {name: torch.tensor(rows) for name, rows in columns.items()}


def _real_tokens(inputs: dict[str, torch.Tensor]) -> int:
    """Without padding; packed sequences have none."""
    mask = inputs.get("attention_mask")
    return int(inputs["input_ids"].numel() if mask is None else mask.sum())


def _check_template(job: Job) -> None:
    """Raises AssertionError unless the base's chat template, as these packages fill it in, gives the job's
    tokens. Behind the token that ends an answer it may write more, which no answer holds: a line's end.
    """
    tokenizer: Any = AutoTokenizer.from_pretrained(job["base"])
    rows = [example for batch in job["batches"] for example in batch]
    for (tokens, prompt), (asked, answered) in zip(rows, job["chats"], strict=True):
        question = [{"role": "user", "content": asked}]
        whole = [*question, {"role": "assistant", "content": answered}]
        start = tokenizer.apply_chat_template(question, add_generation_prompt=True, return_dict=False)
        ids = tokenizer.apply_chat_template(whole, return_dict=False)
        assert ids[: len(tokens)] == tokens and start == tokens[:prompt]
        assert not tokenizer.decode(ids[len(tokens) :]).strip()


PEERS: dict[str, Callable[[Job], Said]] = {
    "trl": with_trl,
    "trl-packing": with_trl_packing,
    "loop": with_loop,
}

if __name__ == "__main__":
    main(sys.argv[1])
