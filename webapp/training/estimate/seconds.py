"""Seconds of a run by part: floating point operations by the device's measured rate."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from webapp.training.estimate.memory import NF4, STREAMED, is_fast, keeps_prefix
from webapp.training.estimate.shape import Shape
from webapp.training.estimate.workload import Machine, Workload
from webapp.training.spec import TrainingSpec

# Share of the rate in one large matrix product that whole passes reach: norms, activations, attention and
# narrow products are bound by memory. Measured on a CPU; on GPUs what LoRA runs are reported to reach.
EFFICIENCY = {"cpu": 0.65, "cuda": 0.4}
# transformers with PEFT pads, keeps LoRA apart and makes all logits: measured at less than half the speed.
GENERAL_PATH = 0.45
# Unpacking 4-bit weights for every product, as QLoRA's authors and bitsandbytes report it.
NF4_SLOWDOWN = 1.35
# Numbers read from memory for one operation of the matrix rate: generating is bound by that.
READ_BYTES_PER_FLOP = {"cpu": 0.08, "cuda": 0.005}
# Files that the system keeps in memory are copied at about this rate.
CACHED_BYTES_PER_S = 3e9
START_SECONDS = 2.0  # the child's first request: tokenizer, configuration
EXAMPLES_TOKENISED_PER_S = 800
PROMPTS, ANSWER_TOKENS = 3, 64  # asked at every evaluation


@dataclass(frozen=True)
class Seconds:
    loading: float  # weights and examples
    prefix: float  # the frozen layers, once for every example
    evaluations: float  # held-out examples
    answers: float  # to the fixed prompts
    training: float

    @property
    def total(self) -> float:
        return sum(dataclasses.astuple(self))


def seconds(shape: Shape, spec: TrainingSpec, work: Workload, machine: Machine, mode: str) -> Seconds:
    """Where the time of a whole run goes."""
    rate = _rate(shape, machine, mode)
    reading = _read_seconds(shape, machine) if mode == STREAMED else 0.0
    layer_reading = reading / shape.layers
    steps = work.steps(spec)
    evaluations = evaluation_count(work, spec) if work.heldout_examples else 0
    prefix = spec.first_layer(shape.layers) if keeps_prefix(shape, spec, mode) else 0
    above = shape.layers - prefix
    both = work.tokens + work.heldout_tokens
    heldout_pass = (
        work.heldout_computed(spec) * above * _forward(shape, work.mean)
        + work.heldout_label_tokens * 2 * shape.embedding
    ) / rate
    heldout_parts = max(1.0, work.heldout_tokens / spec.batch_tokens)
    flops = work.passes(spec) * _epoch_flops(shape, spec, work, mode)
    flops += steps * work.parts(spec) * _merge_flops(shape, spec, mode)
    return Seconds(
        loading=_loading(shape, work, machine, mode),
        prefix=max(
            both * prefix * _forward(shape, work.mean) / rate,
            both / spec.batch_tokens * prefix * layer_reading,
        ),
        evaluations=evaluations * max(heldout_pass, heldout_parts * above * layer_reading),
        answers=0.0 if mode == STREAMED else evaluations * _answer_seconds(shape, machine),
        training=max(flops / rate, steps * work.parts(spec) * 2 * above * layer_reading),
    )


def _rate(shape: Shape, machine: Machine, mode: str) -> float:
    """Operations a second that whole passes reach."""
    rate = machine.matrix_flops * EFFICIENCY[machine.kind]
    if mode == NF4:
        rate /= NF4_SLOWDOWN
    return rate if is_fast(shape, mode) else rate * GENERAL_PATH


def _loading(shape: Shape, work: Workload, machine: Machine, mode: str) -> float:
    """Weights from the disk, examples into tokens."""
    examples = work.examples + work.heldout_examples
    weights = 0.0 if mode == STREAMED else shape.stored / min(machine.read_bytes_per_s, CACHED_BYTES_PER_S)
    return START_SECONDS + weights + examples / EXAMPLES_TOKENISED_PER_S


def evaluation_count(work: Workload, spec: TrainingSpec) -> int:
    """Passes over the held-out examples: before the first step, and on the way to the last."""
    return 1 + min(spec.evaluations, work.steps(spec))


def _forward(shape: Shape, length: float) -> float:
    """Operations of one decoder layer forward, for one token of an example of `length`."""
    # Causal attention sees half of the rows, for scores and for their sum.
    attention = 2 * shape.heads * shape.head_dim * length
    return 2 * shape.matrix() + attention


def _epoch_flops(shape: Shape, spec: TrainingSpec, work: Workload, mode: str) -> float:
    """Operations of forward and backward over all training tokens once.

    No gradient goes to a frozen weight: backwards, a layer costs what it cost forwards (attention: two and a
    half times that), and its LoRA 4 r (in + out).
    """
    tokens, labels = work.computed(spec), work.label_tokens
    layers = shape.learning_layers(spec)
    attention = _forward(shape, work.mean) - _forward(shape, 0)
    passes = 3 if mode == STREAMED else 2  # streamed layers go forwards once more, in the backward pass
    layer = passes * _forward(shape, 0) + (passes + 1.5) * attention
    head = 4 * labels * shape.embedding
    if not is_fast(shape, mode):
        below = (shape.layers - layers) * _forward(shape, work.mean)
        # LoRA apart from the weights: twice forwards and four times backwards; the head's forward again.
        return tokens * (layers * layer + below + 6 * shape.trainable(spec)) + 1.5 * head
    # In the last layer only rows that predict a label go on behind attention, and what lies below the first
    # one needs no gradient.
    q_k_v = shape.matrix(("q_proj", "k_proj", "v_proj"))
    spared = passes * 2 * max(0.0, tokens - labels) * (shape.matrix() - q_k_v) + 2 * tokens * q_k_v
    return tokens * (layers * layer + 4 * shape.trainable(spec)) - spared + head


def _merge_flops(shape: Shape, spec: TrainingSpec, mode: str) -> float:
    """Of W + s B A in every layer that learns; a streamed layer is merged whenever it comes."""
    if spec.dropout or not is_fast(shape, mode):
        return 0.0
    times = 2 if mode == STREAMED else 1
    return times * 2 * spec.rank * shape.matrix(spec.target_modules) * shape.learning_layers(spec)


def _read_seconds(shape: Shape, machine: Machine) -> float:
    """Reading all decoder layers once. What fits beside everything else stays in the system's cache."""
    layers = shape.layers * shape.layer_parameters * shape.stored_bytes
    cached = layers < machine.host_memory_bytes / 2
    rate = max(machine.read_bytes_per_s, CACHED_BYTES_PER_S) if cached else machine.read_bytes_per_s
    return layers / rate


def _answer_seconds(shape: Shape, machine: Machine) -> float:
    """Greedy answers to all prompts together: every token reads all weights."""
    weights = (shape.layers * shape.layer_parameters + shape.embedding) * machine.element_bytes
    return ANSWER_TOKENS * weights / (machine.matrix_flops * READ_BYTES_PER_FLOP[machine.kind])
