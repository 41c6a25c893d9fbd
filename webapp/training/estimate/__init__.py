"""What a training run would cost, from configuration alone. Standard library only."""

from webapp.training.estimate.shape import FAMILIES, Shape, ShapeError
from webapp.training.estimate.workload import Machine, Workload

__all__ = ["FAMILIES", "Machine", "Shape", "ShapeError", "Workload"]
