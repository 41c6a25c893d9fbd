"""A run as the engine would hold and compute it: the facts that memory and seconds follow from."""

from __future__ import annotations

from dataclasses import dataclass

from webapp.training.estimate.shape import FAST_PATH, Shape
from webapp.training.estimate.workload import Machine, Workload
from webapp.training.spec import TrainingSpec

RESIDENT, NF4, STREAMED = "resident", "nf4", "streamed"


@dataclass(frozen=True)
class Plan:
    """One run in one mode on one machine. What is derived follows workers/engine/load.py."""

    shape: Shape
    spec: TrainingSpec
    work: Workload
    machine: Machine
    mode: str

    @property
    def precision(self) -> str:
        """Streamed weights are computed in fp32; else GPUs are fastest in bf16, and CPUs in fp32."""
        if self.mode == STREAMED:
            return "fp32"
        if self.spec.precision == "auto":
            return "fp32" if self.machine.kind == "cpu" else "bf16"
        return self.spec.precision

    @property
    def number_bytes(self) -> int:
        """Of a weight in memory, and of an activation."""
        return 4 if self.precision == "fp32" else 2

    @property
    def is_fast(self) -> bool:
        """Whether the engine's own passes train it; else transformers and PEFT do."""
        return self.shape.family in FAST_PATH and self.precision == "fp32" and self.mode != NF4

    @property
    def merges(self) -> bool:
        """Whether W_eff = W + s B A is made. With dropout nothing is merged."""
        return self.is_fast and not self.spec.dropout

    @property
    def streamed(self) -> bool:
        return self.mode == STREAMED

    @property
    def learning_layers(self) -> int:
        return self.shape.learning_layers(self.spec)

    @property
    def kept_below(self) -> int:
        """Layers that every example goes through once, because what comes out is kept on disk: the frozen
        prefix; 0 where all layers learn."""
        return self.spec.first_layer(self.shape.layers) if self.is_fast else 0

    @property
    def trainable(self) -> int:
        return self.shape.trainable(self.spec)

    @property
    def adapted(self) -> int:
        """Frozen weights, of one layer, that an adapter stands beside."""
        return self.shape.matrix(self.spec.target_modules)

    @property
    def label_share(self) -> float:
        """Of the tokens: those that count in the loss."""
        return self.work.label_tokens / self.work.tokens
