"""The fast path: an adapter in training on a Llama-family base, without autograd over frozen weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

from webapp.training.spec import TrainingSpec
from workers.engine.adapter import AdaptedLayer, AdaptedLinear, Adapter, Draw
from workers.engine.base_model import BaseModel
from workers.engine.batches import Batch, parts
from workers.engine.blocks import Rotation, Rows, decoder_layer
from workers.engine.examples import Example
from workers.engine.generate import greedy
from workers.engine.learner import Check, Progress
from workers.engine.loss import LabelLoss
from workers.engine.prefix import FrozenPrefix
from workers.engine.sealed import Sealer


class FastLearner:
    """Implements `learner.Learner`."""

    precision = "fp32"

    def __init__(self, base: BaseModel, spec: TrainingSpec) -> None:
        self.base, self.spec = base, spec
        self.adapter = Adapter(base.layers.like, len(base.layers), spec)
        self.layers: ResidentPass | StreamedPass = (
            StreamedPass(base, self.adapter) if base.streamed else ResidentPass(base, self.adapter)
        )
        self._prefix: FrozenPrefix | None = None

    @property
    def mode(self) -> str:
        return "streamed" if self.base.streamed else "resident"

    def parameters(self) -> list[Tensor]:
        return self.adapter.parameters()

    def tensors(self) -> dict[str, Tensor]:
        return self.adapter.tensors()

    def prepare(
        self, examples: Sequence[Example], folder: Path, sealer: Sealer, report: Progress, check: Check
    ) -> None:
        if self.adapter.first == 0:
            return
        hidden = self.base.norm.shape[0]
        self._prefix = FrozenPrefix(folder, sealer, hidden, self.base.device)
        self._prefix.prepare(examples, self.spec.batch_tokens, self._below, report, check)

    def learn(self, examples: Sequence[Example], step: int) -> float:
        self.layers.refresh()
        labels = sum(example.labels for example in examples)
        total = 0.0
        for part, group in enumerate(parts(examples, self.spec.batch_tokens)):
            draw = Draw(self.spec.seed, step, part) if self.spec.dropout else None
            loss, count = self._loss(group, draw)
            share = count / labels
            (loss * share).backward()  # type: ignore[no-untyped-call]
            total += loss.item() * share
        return total

    @torch.no_grad()
    def heldout_loss(self, examples: Sequence[Example], check: Check) -> float:
        self.layers.refresh()
        total, labels = 0.0, 0
        for group in parts(examples, self.spec.batch_tokens):
            check()
            loss, count = self._loss(group, None)
            total += loss.item() * count
            labels += count
        return total / labels

    def answers(self, prompts: Sequence[Sequence[int]], most: int, check: Check) -> list[list[int]]:
        if isinstance(self.layers, StreamedPass):
            return []
        self.layers.refresh()
        return greedy(self.base, self.layers, prompts, most, check)

    def _loss(self, examples: Sequence[Example], draw: Draw | None) -> tuple[Tensor, int]:
        """The mean negative log likelihood (scalar) of the labels, and how many there are."""
        batch = Batch.of(examples, self.base.device)
        loss: Tensor = LabelLoss.apply(  # type: ignore[no-untyped-call]
            self._hidden_states(examples, batch, draw), self.base.head, batch.labels
        )
        return loss, len(batch.labels)

    def _hidden_states(self, examples: Sequence[Example], batch: Batch, draw: Draw | None) -> Tensor:
        """What the head reads to predict each label: `[labels, hidden]`, differentiable by A and B."""
        base, count = self.base, len(self.base.layers)
        rows = replace(_rows(base, batch), draw=draw)
        x = self._prefix.rows(examples, batch) if self._prefix is not None else self._below(batch)
        for index in range(self.adapter.first, count):
            x = self.layers.forward(x, index, rows, batch.label_rows if index == count - 1 else None)
        return F.rms_norm(x, base.norm.shape, base.norm, base.eps)

    @torch.no_grad()
    def _below(self, batch: Batch) -> Tensor:
        """The rows `[rows, hidden]` that the first layer that learns reads."""
        x, rows = self.base.embed(batch.tokens), _rows(self.base, batch)
        for index in range(self.adapter.first):
            then = (index + 1) % self.adapter.first
            x = decoder_layer(x, AdaptedLayer.plain(self.base.layers.at(index, then), self.base.eps), rows)
        return x


class ResidentPass:
    """Passes over layers that are all in memory, each adapted weight twice: as it is frozen, and as W_eff."""

    def __init__(self, base: BaseModel, adapter: Adapter) -> None:
        self._base, self._adapter = base, adapter
        self._layers = [self._adapted(index) for index in range(len(base.layers))]

    def __getitem__(self, index: int) -> AdaptedLayer:
        return self._layers[index]

    def refresh(self) -> None:
        """Let the next pass see the parameters of now."""
        for index in range(self._adapter.first, len(self._layers)):
            frozen = self._base.layers.at(index, index)
            for name, lora in self._adapter.of(index).items():
                if lora.merges:
                    lora.merge(frozen.linears[name].weight, self._layers[index].linears[name].weight)

    def forward(self, x: Tensor, index: int, rows: Rows, keep: Tensor | None) -> Tensor:
        return decoder_layer(x, self._layers[index], rows, keep)

    def _adapted(self, index: int) -> AdaptedLayer:
        frozen = self._base.layers.at(index, index)
        if index < self._adapter.first:
            return AdaptedLayer.plain(frozen, self._base.eps)
        loras = self._adapter.of(index)
        linears = {
            name: AdaptedLinear(
                linear, loras[name], torch.empty_like(linear.weight) if loras[name].merges else linear.weight
            )
            for name, linear in frozen.linears.items()
        }
        return AdaptedLayer(frozen, self._base.eps, linears)


class StreamedPass:
    """Passes over layers that come from disk one by one. W_eff is made where the frozen weight was, and the
    backward pass reads each layer and computes its activations again."""

    def __init__(self, base: BaseModel, adapter: Adapter) -> None:
        self._base, self._adapter = base, adapter
        self._current: tuple[int, AdaptedLayer] | None = None

    def refresh(self) -> None:
        self._current = None

    def forward(self, x: Tensor, index: int, rows: Rows, keep: Tensor | None) -> Tensor:
        parameters = [tensor for lora in self._adapter.of(index).values() for tensor in lora.parameters()]
        then = self._above(index, learning=torch.is_grad_enabled())
        out: Tensor = _Recomputed.apply(x, self, index, then, rows, keep, *parameters)  # type: ignore[no-untyped-call]
        return out

    def at(self, index: int, then: int) -> AdaptedLayer:
        """The layer as it is now; `then` is the one that will be asked for next."""
        if self._current is None or self._current[0] != index:
            frozen = self._base.layers.at(index, then)
            loras = self._adapter.of(index)
            for name, linear in frozen.linears.items():
                if loras[name].merges:
                    loras[name].merge(linear.weight, linear.weight)
            linears = {
                name: AdaptedLinear(linear, loras[name], linear.weight)
                for name, linear in frozen.linears.items()
            }
            self._current = index, AdaptedLayer(frozen, self._base.eps, linears)
        return self._current[1]

    def _above(self, index: int, *, learning: bool) -> int:
        """The layer that is needed after `index` in a forward pass."""
        last = len(self._base.layers) - 1
        if index < last:
            return index + 1
        return max(last - 1, self._adapter.first) if learning else self._adapter.first

    def below(self, index: int) -> int:
        """The layer that is needed after `index` in a backward pass."""
        return max(index - 1, self._adapter.first)


class _Recomputed(Function):
    """A decoder layer that keeps its input alone (Chen et al. 2016, “Training deep nets with sublinear memory
    cost”, with the weights forgotten too)."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        layers: StreamedPass,
        index: int,
        then: int,
        rows: Rows,
        keep: Tensor | None,
        *parameters: Tensor,
    ) -> Tensor:
        ctx.layers, ctx.index, ctx.rows, ctx.keep = layers, index, rows, keep
        ctx.save_for_backward(x)
        return decoder_layer(x, layers.at(index, then), rows, keep)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (x,) = ctx.saved_tensors
        layer = ctx.layers.at(ctx.index, ctx.layers.below(ctx.index))
        wants_dx = ctx.needs_input_grad[0]
        with torch.enable_grad():
            x = x.detach().requires_grad_(wants_dx)
            y = decoder_layer(x, layer, ctx.rows, ctx.keep)
        wanted = [*([x] if wants_dx else []), *layer.parameters]
        found = torch.autograd.grad(y, wanted, grads[0])
        dx, lora = (found[0], found[1:]) if wants_dx else (None, found)
        return dx, None, None, None, None, None, *lora


def _rows(base: BaseModel, batch: Batch) -> Rows:
    rotation = Rotation(base.attention, *base.rotation(batch.positions))
    return Rows(rotation, batch.shared, batch.lengths)
