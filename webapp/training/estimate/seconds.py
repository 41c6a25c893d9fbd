"""Seconds of a run by part: floating point operations by the device's measured rate."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from webapp.training.estimate.plan import NF4, Plan
from webapp.training.estimate.workload import Machine, Workload
from webapp.training.spec import TrainingSpec

# Share of the rate in one large matrix product that whole passes reach: norms, activations, attention and
# narrow products are bound by memory. (kind, whether on the fast path); CPUs measured, GPUs as reported for
# LoRA by others: nothing of this was run on one here.
EFFICIENCY = {("cpu", True): 0.65, ("cpu", False): 0.3, ("cuda", True): 0.4, ("cuda", False): 0.35}
# Passes without a backward one keep nothing and multiply nothing narrow: so much faster per operation.
FORWARD_ONLY = 1.2
# Unpacking 4-bit weights for every product, as QLoRA's authors and bitsandbytes report it.
NF4_SLOWDOWN = 1.35
# Bytes of weights that pass in the time of one operation at the matrix rate: generating is bound by that.
READ_BYTES_PER_FLOP = {"cpu": 0.04, "cuda": 0.005}
# Files that the system keeps in memory are copied at about this rate.
CACHED_BYTES_PER_S = 3e9
START_SECONDS = 2.0  # configuration, tokenizer
EXAMPLES_TOKENISED_PER_S = 800

# workers/engine/schedule.py and trainer.py: how often a run is measured, and what it is asked then.
EVALUATION_SHARE = 0.25
PROMPTS, ANSWER_TOKENS = 3, 48


@dataclass(frozen=True)
class Seconds:
    loading: float  # weights and examples
    prefix: float  # the frozen layers, once for every example
    evaluations: float  # held-out examples
    answers: float  # to the fixed prompts
    training: float

    @property
    def total(self) -> float:
        return float(sum(dataclasses.astuple(self)))


def seconds(plan: Plan) -> Seconds:
    """Where the time of a whole run goes. Streamed weights come while others compute: the slower counts."""
    work, rate = plan.work, _rate(plan)
    prefix = work.all_computed(plan.spec) * plan.kept_below * _forward(plan) / (rate * FORWARD_ONLY)
    heldout = _heldout_flops(plan) / (rate * FORWARD_ONLY) if work.heldout_examples else 0.0
    training = _training_flops(plan) / rate
    answers = _answer_seconds(plan)
    if plan.streamed:
        layer = _read_seconds(plan) / plan.shape.layers
        above = plan.shape.layers - plan.kept_below
        passes = 2 * work.steps(plan.spec) * work.parts(plan.spec)  # forwards and backwards
        parts = (work.tokens + work.heldout_tokens) / plan.spec.batch_tokens
        prefix = max(prefix, parts * plan.kept_below * layer)
        if work.heldout_examples:
            parts = max(1.0, work.heldout_tokens / plan.spec.batch_tokens)
            heldout = max(heldout, parts * above * layer)
        training = max(training, passes * above * layer)
        answers = 0.0  # none are asked for
    evaluations = evaluation_count(work, plan.spec)
    return Seconds(
        loading=_loading(plan),
        prefix=prefix,
        evaluations=evaluations * heldout,
        answers=evaluations * answers,
        training=training,
    )


def evaluation_count(work: Workload, spec: TrainingSpec) -> int:
    """How often it is measured, and answers: before the first step, and on the way to the last."""
    tokens = work.tokens * work.passes(spec)
    affordable = int(EVALUATION_SHARE * 3 * tokens / max(work.heldout_tokens, 1))
    return 1 + max(1, min(spec.evaluations, work.steps(spec), affordable))


def _rate(plan: Plan) -> float:
    """Operations a second that whole passes reach."""
    machine = plan.machine
    peak = machine.fp32_flops if plan.precision == "fp32" else machine.matrix_flops
    rate = peak * EFFICIENCY[machine.kind, plan.is_fast]
    return rate / NF4_SLOWDOWN if plan.mode == NF4 else rate


def _loading(plan: Plan) -> float:
    """Weights from the disk, examples into tokens."""
    examples = plan.work.examples + plan.work.heldout_examples
    weights = plan.shape.stored / min(plan.machine.read_bytes_per_s, CACHED_BYTES_PER_S)
    return START_SECONDS + (0.0 if plan.streamed else weights) + examples / EXAMPLES_TOKENISED_PER_S


def _forward(plan: Plan) -> float:
    """Operations of one decoder layer forward, for one token."""
    return 2 * plan.shape.matrix() + _attention(plan)


def _attention(plan: Plan) -> float:
    """Of scores and their sum, for one token: causal attention sees half of the rows."""
    return 2 * plan.shape.heads * plan.shape.head_dim * plan.work.mean


def _heldout_flops(plan: Plan) -> float:
    """Operations of one pass over the held-out examples."""
    layers = plan.shape.layers - plan.kept_below
    head = 2 * plan.work.heldout_label_tokens * plan.shape.embedding
    return plan.work.heldout_computed(plan.spec) * layers * _forward(plan) + head + _merge_flops(plan)


def _training_flops(plan: Plan) -> float:
    """Operations of all steps. W_eff is made once a step; of a streamed layer whenever it comes."""
    merges = plan.work.steps(plan.spec) * (2 * plan.work.parts(plan.spec) if plan.streamed else 1)
    return plan.work.passes(plan.spec) * _epoch_flops(plan) + merges * _merge_flops(plan)


def _epoch_flops(plan: Plan) -> float:
    """Operations of forward and backward over all training tokens once.

    No gradient goes to a frozen weight: backwards, a layer costs what it cost forwards (attention: two and a
    half times that), and its LoRA 4 r (in + out).
    """
    shape, tokens, labels = plan.shape, plan.work.computed(plan.spec), plan.work.label_tokens
    passes = 3 if plan.streamed else 2  # a streamed layer goes forwards once more, in the backward pass
    layer = passes * 2 * shape.matrix() + (passes + 1.5) * _attention(plan)
    head = 4 * labels * shape.embedding
    if not plan.is_fast:
        below = (shape.layers - plan.learning_layers) * _forward(plan)
        # LoRA apart from the weights: twice forwards and four times backwards; the head's forward again.
        return tokens * (plan.learning_layers * layer + below + 6 * plan.trainable) + 1.5 * head
    # In the last layer only rows that predict a label go on behind attention, and what lies below the first
    # one needs no gradient.
    q_k_v = shape.matrix(("q_proj", "k_proj", "v_proj"))
    spared = passes * 2 * max(0.0, tokens - labels) * (shape.matrix() - q_k_v) + 2 * tokens * q_k_v
    return tokens * (plan.learning_layers * layer + 4 * plan.trainable) - spared + head


def _merge_flops(plan: Plan) -> float:
    """Of W + s B A once, in every layer that learns."""
    return 2 * plan.spec.rank * plan.adapted * plan.learning_layers if plan.merges else 0.0


def _read_seconds(plan: Plan) -> float:
    """Reading all decoder layers once. What fits beside everything else stays in the system's cache."""
    layers = plan.shape.layers * plan.shape.layer_parameters * plan.shape.stored_bytes
    return layers / _read_rate(plan.machine, layers)


def _read_rate(machine: Machine, size: int) -> float:
    cached = size < machine.host_memory_bytes / 2
    return max(machine.read_bytes_per_s, CACHED_BYTES_PER_S) if cached else machine.read_bytes_per_s


def _answer_seconds(plan: Plan) -> float:
    """Greedy answers to all prompts together: the prompts are read at once, then every token reads all
    weights."""
    shape = plan.shape
    asked = PROMPTS * plan.work.mean * (1 - plan.label_share)
    reading = asked * shape.layers * _forward(plan) / (_rate(plan) * FORWARD_ONLY)
    weights = (shape.layers * shape.layer_parameters + shape.embedding) * plan.number_bytes
    rate = plan.machine.matrix_flops * READ_BYTES_PER_FLOP[plan.machine.kind]
    return reading + ANSWER_TOKENS * weights / rate
