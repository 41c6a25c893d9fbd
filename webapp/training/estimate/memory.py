"""Memory and disk of a run by part, in bytes, from what the engine keeps (see workers/engine/blocks.py)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from webapp.training.estimate.shape import FAST_PATH, Shape
from webapp.training.estimate.workload import Machine, Workload
from webapp.training.spec import TrainingSpec

RESIDENT, NF4, STREAMED = "resident", "nf4", "streamed"

FP32 = 4
ADAMW_MOMENTS = 2
LOGIT_ROWS = 256  # workers/engine/loss.py: rows of logits that exist at once

# Python with PyTorch, transformers and a tokenizer, before any weight is read.
RUNTIME_BYTES = 450 * 2**20
# What CUDA, cuBLAS and PyTorch's kernels take of the card before any tensor is there.
CUDA_CONTEXT_BYTES = 700 * 2**20
# Freed blocks that the allocator keeps, as a share of what comes and goes.
FRAGMENTATION = 0.1

# NF4 (Dettmers et al. 2023): four bits a weight, and one scale for 64 of them, itself in eight bits.
NF4_BYTES = 0.5 + (1 + 4 / 256) / 64
STREAMED_LAYERS = 2  # one that computes, the next on its way


@dataclass(frozen=True)
class Memory:
    """Bytes of the device that trains, by part, at the fullest moment."""

    weights: int
    merged: int  # W_eff = W + s B A of the layers that learn
    adapter: int
    optimiser: int  # gradients and AdamW's two moments
    activations: int
    logits: int
    runtime: int

    @property
    def total(self) -> int:
        return sum(dataclasses.astuple(self))


@dataclass(frozen=True)
class Disk:
    """Bytes written while it trains and afterwards."""

    checkpoints: int
    prefix: int  # hidden states below the lowest layer that learns
    adapter: int

    @property
    def total(self) -> int:
        return self.checkpoints + self.prefix + self.adapter


def element_bytes(spec: TrainingSpec, machine: Machine) -> int:
    """Of a weight in memory and of an activation."""
    if spec.precision == "auto":
        return machine.element_bytes
    return 4 if spec.precision == "fp32" else 2


def is_fast(shape: Shape, mode: str) -> bool:
    """Whether the engine's own passes train it; else transformers and PEFT do, which keep 4-bit weights."""
    return shape.family in FAST_PATH and mode != NF4


def memory(shape: Shape, spec: TrainingSpec, work: Workload, machine: Machine, mode: str) -> Memory:
    """What the device holds at once."""
    size = element_bytes(spec, machine)
    trainable = shape.trainable(spec)
    coming, logits = _activations(shape, spec, work, mode), _logit_numbers(shape, spec, work)
    runtime = RUNTIME_BYTES if machine.kind == "cpu" else CUDA_CONTEXT_BYTES
    return Memory(
        weights=round(_weights(shape, size, mode)),
        merged=_merged(shape, spec, mode) * size,
        adapter=trainable * FP32,
        optimiser=trainable * FP32 * (1 + ADAMW_MOMENTS),
        activations=round(coming * size * (1 + FRAGMENTATION)),
        logits=round(logits * FP32),
        runtime=runtime,
    )


def host_bytes(shape: Shape, spec: TrainingSpec, machine: Machine, mode: str) -> int:
    """Bytes of the host's memory beside a GPU; 0 where the host is the device itself.

    Weights are read layer by layer; a 4-bit base is made from them on the card.
    """
    if machine.kind == "cpu":
        return 0
    layer = shape.layer_parameters * max(element_bytes(spec, machine), shape.stored_bytes)
    ends = shape.embedding * shape.stored_bytes if mode == STREAMED else 0
    return RUNTIME_BYTES + STREAMED_LAYERS * layer + ends


def disk(shape: Shape, spec: TrainingSpec, work: Workload, mode: str) -> Disk:
    """A checkpoint holds adapter and moments, the best adapter is kept beside it, and each is written whole
    before it replaces the one before."""
    trainable = shape.trainable(spec) * FP32
    prefix = 0
    if keeps_prefix(shape, spec, mode):
        prefix = (work.tokens + work.heldout_tokens) * shape.hidden * FP32
    return Disk(
        checkpoints=trainable * 2 * (1 + ADAMW_MOMENTS + 1),
        prefix=prefix,
        adapter=trainable,
    )


def keeps_prefix(shape: Shape, spec: TrainingSpec, mode: str) -> bool:
    """Whether what lies below the layers that learn is computed once and kept on disk."""
    return spec.first_layer(shape.layers) > 0 and is_fast(shape, mode)


def _weights(shape: Shape, size: int, mode: str) -> float:
    layer = shape.layer_parameters
    ends = shape.embedding * size if shape.tied else 2 * shape.embedding * size
    if mode == STREAMED:  # the embedding's rows are read from the file as they are asked for
        return STREAMED_LAYERS * layer * size + shape.embedding * size
    if mode == NF4:
        frozen = shape.matrix()
        return shape.layers * (frozen * NF4_BYTES + (layer - frozen) * size) + ends
    return shape.layers * layer * size + ends


def _merged(shape: Shape, spec: TrainingSpec, mode: str) -> int:
    """Weights of W_eff. With dropout nothing is merged; a streamed layer is merged where it lies."""
    if mode == STREAMED or spec.dropout or not is_fast(shape, mode):
        return 0
    return shape.matrix(spec.target_modules) * shape.learning_layers(spec)


def _saved(shape: Shape, mode: str) -> int:
    """Numbers of a row that a layer keeps for its backward pass."""
    queries = shape.heads * shape.head_dim
    keys = shape.kv_heads * shape.head_dim
    if not is_fast(shape, mode):
        # Autograd keeps both sides of every norm and product, and keys and values repeated for all heads.
        return 8 * shape.hidden + 5 * queries + 2 * keys + 4 * shape.intermediate
    # x and r of either norm; q, k and v; what attention gave, twice (by head and by row), with its
    # logarithms of sums; gate and up.
    return 2 * (shape.hidden + 1) + queries + 2 * keys + 2 * queries + shape.heads + 2 * shape.intermediate


def _passing(shape: Shape) -> int:
    """Numbers of a row that live only while the MLP of one layer is gone through backwards."""
    # silu(g), silu(g) ⊙ u, da, and the gradients of gate and up; dy and dh.
    return 5 * shape.intermediate + 2 * shape.hidden


def _activations(shape: Shape, spec: TrainingSpec, work: Workload, mode: str) -> float:
    """Numbers that forward and backward keep at their fullest moment."""
    rows = work.rows(spec)
    kept = shape.learning_layers(spec)
    if mode == STREAMED:  # one layer's, and what every layer read
        return rows * (_saved(shape, mode) + _passing(shape) + (kept + 1) * shape.hidden)
    return rows * (kept * _saved(shape, mode) + _passing(shape))


def _logit_numbers(shape: Shape, spec: TrainingSpec, work: Workload) -> float:
    """Some rows of logits, and the hidden states of all labels with their gradient."""
    labels = work.rows(spec) * work.label_tokens / work.tokens
    return min(LOGIT_ROWS, labels) * shape.vocabulary + 2 * labels * shape.hidden
