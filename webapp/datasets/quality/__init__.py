"""A dataset's quality report: how much, how long, how even, and what to do about what falls short."""

from webapp.datasets.quality.builder import VERSION, QualityBuilder

__all__ = ["VERSION", "QualityBuilder"]
