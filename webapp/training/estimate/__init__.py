"""What a training run would cost, from configuration alone. Standard library only."""

from webapp.training.estimate.choose import (
    MODES,
    Calibration,
    Choice,
    Estimate,
    Option,
    choose,
    estimate,
    gigabytes,
)
from webapp.training.estimate.memory import Disk, Memory
from webapp.training.estimate.seconds import Seconds, evaluation_count
from webapp.training.estimate.shape import FAMILIES, FAST_PATH, Shape, ShapeError
from webapp.training.estimate.workload import Machine, Workload

__all__ = [
    "FAMILIES",
    "FAST_PATH",
    "MODES",
    "Calibration",
    "Choice",
    "Disk",
    "Estimate",
    "Machine",
    "Memory",
    "Option",
    "Seconds",
    "Shape",
    "ShapeError",
    "Workload",
    "choose",
    "estimate",
    "evaluation_count",
    "gigabytes",
]
