"""A LoRA adapter in training through PEFT, on a base that transformers computes."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from transformers import GenerationConfig, StoppingCriteria, StoppingCriteriaList

from webapp.training.spec import TrainingSpec
from workers.engine.examples import Example
from workers.engine.general.targets import peft_targets
from workers.engine.learner import Check, Progress
from workers.engine.sealed import Sealer

if TYPE_CHECKING:
    from workers.engine.general.base import GeneralBase

LOGIT_ROWS = 256  # rows of logits that exist at once
# What fp16 multiplies the loss with, so that small gradients don't vanish: the first with no overflow counts.
LOSS_SCALES = (2.0**14, 2.0**10, 2.0**6, 1.0)


@dataclass(frozen=True)
class PaddedBatch:
    """Examples beside each other, the short ones filled up behind their ends.

    An example's last token predicts nothing, so it is a label and no input.
    """

    tokens: Tensor  # int [examples, longest]
    mask: Tensor  # int [examples, longest]: 1 where a token is, 0 where nothing is
    label_rows: Tensor  # int [labels], of the flattened tokens: those whose next token is a label
    labels: Tensor  # int [labels]

    @classmethod
    def of(cls, examples: Sequence[Example], device: torch.device) -> PaddedBatch:
        longest = max(len(example.tokens) for example in examples) - 1
        tokens = torch.zeros(len(examples), longest, dtype=torch.long)
        mask = torch.zeros_like(tokens)
        rows: list[int] = []
        labels: list[int] = []
        for place, example in enumerate(examples):
            length = len(example.tokens) - 1
            tokens[place, :length] = torch.tensor(example.tokens[:-1])
            mask[place, :length] = 1
            rows += range(place * longest + example.prompt_length - 1, place * longest + length)
            labels += example.tokens[example.prompt_length :]
        return cls(*(part.to(device) for part in (tokens, mask, torch.tensor(rows), torch.tensor(labels))))


def micro_batches(examples: Sequence[Example], most_tokens: int) -> list[list[Example]]:
    """The examples in groups of similar length, each at most `most_tokens` with what fills it up.

    An example that is longer by itself makes a group of its own.
    """
    groups: list[list[Example]] = []
    for example in sorted(examples, key=lambda example: len(example.tokens)):
        # Sorted, so this one is the longest of its group.
        if groups and (len(groups[-1]) + 1) * len(example.tokens) <= most_tokens:
            groups[-1].append(example)
        else:
            groups.append([example])
    return groups


class GeneralLearner:
    """An adapter of the base, by PEFT. The base's modules are copied for it, their weights are not."""

    def __init__(self, base: GeneralBase, spec: TrainingSpec) -> None:
        self._base, self._spec = base, spec
        decoder = base.decoder
        first = spec.first_layer(decoder.layers)
        self.prefix, self.layers_pattern = decoder.prefix, decoder.pattern
        self.layers_to_transform = list(range(first, decoder.layers)) if first else None
        self.target_modules = peft_targets(base.model, decoder, decoder.chosen(spec.target))
        config = LoraConfig(
            r=spec.rank,
            lora_alpha=spec.alpha,  # type: ignore[arg-type]
            lora_dropout=spec.dropout,
            use_rslora=spec.rslora,
            target_modules=self.target_modules,
            layers_to_transform=self.layers_to_transform,
            layers_pattern=[self.layers_pattern] if self.layers_to_transform else None,
            task_type="CAUSAL_LM",
        )
        with _random_numbers_of(spec.seed):
            self._peft: Any = get_peft_model(_sharing_weights(base.model), config)
        self._model: Any = self._peft.get_base_model()
        self._peft.eval()  # no dropout but the adapter's own, and that only while it learns

    @property
    def mode(self) -> str:
        return self._base.mode

    @property
    def precision(self) -> str:
        return self._base.precision

    def parameters(self) -> list[Tensor]:
        """Every A and B in fp32, whatever the base is in; always in the same order."""
        return [parameter for parameter in self._peft.parameters() if parameter.requires_grad]

    def tensors(self) -> dict[str, Tensor]:
        """`{"layers.0.self_attn.q_proj.lora_A": A [rank, in], ...: B [out, rank]}` without gradients.

        The names begin where the decoder layers do, whatever the architecture calls those; what stands
        before is `prefix`.
        """
        before, after = f"base_model.model.{self.prefix}", ".default.weight"
        return {
            name.removeprefix(before).removesuffix(after): parameter.detach()
            for name, parameter in self._peft.named_parameters()
            if parameter.requires_grad
        }

    def prepare(
        self, examples: Sequence[Example], folder: Path, sealer: Sealer, report: Progress, check: Check
    ) -> None:
        """Nothing: what lies below the layers that learn is computed anew at each step, without gradients."""

    def learn(self, examples: Sequence[Example], step: int) -> float:
        """Add to every `.grad` that of the mean loss over all labels of `examples`; returns that loss.

        Dropout depends on the seed and on `step`, and on nothing that came before.
        """
        labels = sum(example.labels for example in examples)
        total = 0.0
        with _random_numbers_of(self._spec.seed, step), self._dropout():
            for group in micro_batches(examples, self._spec.batch_tokens):
                total += self._learn_some(group, labels)
        return total

    def heldout_loss(self, examples: Sequence[Example], check: Check) -> float:
        """The mean negative log likelihood of a label token over all `examples` (natural logarithm).

        `check` is called before every batch and may raise to end it early.
        """
        total = 0.0
        with torch.no_grad():
            for group in micro_batches(examples, self._spec.batch_tokens):
                check()
                total += float(self._summed_loss(group))
        return total / sum(example.labels for example in examples)

    def answers(self, prompts: Sequence[Sequence[int]], most: int, check: Check) -> list[list[int]]:
        """What it says after each prompt, greedily, at most so many tokens, without the one that ends it."""
        return [self._answer(prompt, most, check) for prompt in prompts]

    def _answer(self, prompt: Sequence[int], most: int, check: Check) -> list[int]:
        stops = sorted(self._base.stop_tokens)
        tokens = torch.tensor([list(prompt)], device=self._base.device)
        settings = GenerationConfig(  # type: ignore[no-untyped-call]
            max_new_tokens=most,
            do_sample=False,
            eos_token_id=stops or None,
            pad_token_id=stops[0] if stops else 0,
        )
        with torch.no_grad(), self._autocast():
            found = self._model.generate(
                input_ids=tokens,
                attention_mask=torch.ones_like(tokens),
                generation_config=settings,
                stopping_criteria=StoppingCriteriaList([_Check(check)]),
            )
        answer: list[int] = found[0, len(prompt) :].tolist()
        return answer[:-1] if answer and answer[-1] in self._base.stop_tokens else answer

    def _learn_some(self, examples: Sequence[Example], labels: float) -> float:
        """The share of these examples in the gradient and in the loss of a step with so many labels."""
        parameters = self.parameters()
        scales = LOSS_SCALES if self.precision == "fp16" else (1.0,)  # fp16: not run without a GPU
        for scale in scales:
            loss = self._summed_loss(examples) / labels
            gradients = torch.autograd.grad(loss * scale, parameters)
            if scale == scales[-1] or all(bool(gradient.isfinite().all()) for gradient in gradients):
                break
        for parameter, gradient in zip(parameters, gradients, strict=True):
            added = gradient / scale
            parameter.grad = added if parameter.grad is None else parameter.grad.add_(added)
        return loss.item()

    def _summed_loss(self, examples: Sequence[Example]) -> Tensor:
        """The negative log likelihoods of all labels, added up (scalar, fp32)."""
        batch = PaddedBatch.of(examples, self._base.device)
        asked = {"input_ids": batch.tokens, "attention_mask": batch.mask, "use_cache": False}
        with self._autocast():
            if not self._base.has_plain_head:
                logits = self._model(**asked).logits.flatten(0, 1)[batch.label_rows]
                return F.cross_entropy(logits.float(), batch.labels, reduction="sum")
            hidden = self._model.base_model(**asked)[0].flatten(0, 1)[batch.label_rows]
            parts = zip(*(torch.split(rows, LOGIT_ROWS) for rows in (hidden, batch.labels)), strict=True)
            losses = [checkpoint(self._head_loss, *part, use_reentrant=False) for part in parts]
        return torch.stack(losses).sum()

    def _head_loss(self, hidden: Tensor, labels: Tensor) -> Tensor:
        """Of some rows; checkpointed, so that their logits exist only while they are computed."""
        return F.cross_entropy(self._base.logits(hidden).float(), labels, reduction="sum")

    def _autocast(self) -> torch.autocast:
        """Lets fp32 A and B multiply in the precision of the base."""
        return torch.autocast(
            self._base.device.type, self._base.model.dtype, enabled=self.precision != "fp32"
        )

    @contextmanager
    def _dropout(self) -> Iterator[None]:
        """The adapter's dropout is on inside; the base's own never is, since it doesn't learn."""
        parts = [module.lora_dropout for module in self._peft.modules() if isinstance(module, LoraLayer)]
        for part in parts:
            part.train()
        try:
            yield
        finally:
            for part in parts:
                part.eval()


class _Check(StoppingCriteria):
    """Asks at each token whether to go on; what it asks may raise."""

    def __init__(self, check: Check) -> None:
        self._check = check

    def __call__(self, input_ids: Tensor, scores: Any, **more: Any) -> Tensor:
        self._check()
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)


def _sharing_weights(model: Any) -> Any:
    """A copy of the model's modules with the very same tensors: an adapter's layers leave no trace."""
    return copy.deepcopy(model, {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())})


@contextmanager
def _random_numbers_of(*key: int) -> Iterator[None]:
    """Inside, torch's random numbers depend on `key` alone; afterwards they go on as before."""
    digest = hashlib.sha256("/".join(map(str, key)).encode()).digest()
    with torch.random.fork_rng():
        torch.manual_seed(int.from_bytes(digest[:8], "big") >> 1)
        yield
