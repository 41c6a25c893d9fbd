"""Memory and disk of a run by part, in bytes, from what the engine keeps (workers/engine/fast.py)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from webapp.training.estimate.plan import NF4, Plan
from webapp.training.estimate.shape import Shape

FP32 = 4
ADAMW_MOMENTS = 2
LOGIT_ROWS = 256  # workers/engine/loss.py: rows of logits that exist at once

# Python with PyTorch, transformers and a tokenizer, before any weight is read.
RUNTIME_BYTES = 430 * 2**20
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
    merged: int  # W_eff of the layers that learn, beside what is frozen
    adapter: int  # as it is, and the best so far
    optimiser: int  # gradients and AdamW's two moments
    activations: int
    logits: int
    runtime: int

    @property
    def total(self) -> int:
        return int(sum(dataclasses.astuple(self)))


@dataclass(frozen=True)
class Disk:
    """Bytes written while it trains and afterwards."""

    checkpoints: int
    prefix: int  # hidden states below the lowest layer that learns
    adapter: int

    @property
    def total(self) -> int:
        return self.checkpoints + self.prefix + self.adapter


def memory(plan: Plan) -> Memory:
    """What the device holds at once."""
    best = 1 if plan.work.heldout_examples else 0
    return Memory(
        weights=round(_weights(plan)),
        # A streamed layer is merged where it lies.
        merged=plan.adapted * plan.learning_layers * plan.number_bytes
        if plan.merges and not plan.streamed
        else 0,
        adapter=plan.trainable * FP32 * (1 + best),
        optimiser=plan.trainable * FP32 * (1 + ADAMW_MOMENTS),
        activations=round(_activations(plan) * plan.number_bytes * (1 + FRAGMENTATION)),
        logits=round(_logit_numbers(plan) * FP32),
        runtime=RUNTIME_BYTES if plan.machine.kind == "cpu" else CUDA_CONTEXT_BYTES,
    )


def host_bytes(plan: Plan) -> int:
    """Bytes of the host's memory beside a GPU; 0 where the host is the device itself.

    Weights pass through it tensor by tensor: the largest are the embedding and the head.
    """
    if plan.machine.kind == "cpu":
        return 0
    largest = max(plan.shape.embedding, plan.shape.hidden * plan.shape.intermediate)
    return RUNTIME_BYTES + 2 * largest * max(plan.number_bytes, plan.shape.stored_bytes)


def disk(plan: Plan) -> Disk:
    """A checkpoint holds the adapter, the best one and AdamW's moments, and is written whole before the one
    before it goes (workers/engine/checkpoint.py)."""
    adapter = plan.trainable * FP32
    tokens = plan.work.tokens + plan.work.heldout_tokens
    return Disk(
        checkpoints=2 * adapter * (2 + ADAMW_MOMENTS),
        prefix=tokens * plan.shape.hidden * FP32 if plan.kept_below else 0,
        adapter=adapter,
    )


def _weights(plan: Plan) -> float:
    shape, size = plan.shape, plan.number_bytes
    layer = shape.layer_parameters
    if plan.streamed:  # the embedding's rows are read from the file as they are asked for
        return (STREAMED_LAYERS * layer + shape.embedding + shape.hidden) * size
    ends = ((1 if shape.tied else 2) * shape.embedding + shape.hidden) * size  # with the last norm
    if plan.mode == NF4:
        frozen = shape.matrix()
        return shape.layers * (frozen * NF4_BYTES + (layer - frozen) * size) + ends
    return shape.layers * layer * size + ends


def saved(plan: Plan) -> float:
    """Numbers of a row that a layer keeps for its backward pass."""
    shape = plan.shape
    queries, keys = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    if not plan.is_fast:
        # Autograd keeps both sides of every norm and product, and keys and values repeated for all heads.
        return 8 * shape.hidden + 5 * queries + 2 * keys + 4 * shape.intermediate
    # x and r of either norm; q, k and v; what attention gave, twice (by head and by row), with its
    # logarithms of sums; gate and up.
    own = 2 * (shape.hidden + 1) + queries + 2 * keys + 2 * queries + shape.heads + 2 * shape.intermediate
    # Behind a shared beginning, keys and values are joined for every example, and attention has a mask.
    return own + (2 * keys + plan.work.mean if plan.work.shared else 0)


def _passing(shape: Shape) -> int:
    """Numbers of a row that live only while the MLP of one layer is gone through backwards."""
    # silu(g), silu(g) ⊙ u, da, and the gradients of gate and up; dy and dh.
    return 5 * shape.intermediate + 2 * shape.hidden


def _activations(plan: Plan) -> float:
    """Numbers that forward and backward keep at their fullest moment."""
    rows = plan.work.rows(plan.spec)
    passing = rows * _passing(plan.shape)
    if plan.streamed:  # one layer's, and what every layer read
        return rows * (saved(plan) + (plan.learning_layers + 1) * plan.shape.hidden) + passing
    return kept(plan, rows) + passing


def kept(plan: Plan, rows: float) -> float:
    """Numbers that the layers that learn keep for the backward pass over so many rows."""
    shape = plan.shape
    numbers = rows * plan.learning_layers * saved(plan)
    if plan.is_fast:  # in the last layer, only rows that predict a label go on behind attention
        queries = shape.heads * shape.head_dim
        numbers -= rows * (1 - plan.label_share) * (queries + shape.hidden + 2 * shape.intermediate)
    return numbers


def _logit_numbers(plan: Plan) -> float:
    """Some rows of logits, and the hidden states of all labels with their gradient."""
    labels = plan.work.rows(plan.spec) * plan.label_share
    return min(LOGIT_ROWS, labels) * plan.shape.vocabulary + 2 * labels * plan.shape.hidden
