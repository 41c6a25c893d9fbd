"""A dataset's style profile: which forms the house uses, counted; and how two houses differ."""

from webapp.datasets.profile.builder import VERSION, ProfileBuilder
from webapp.datasets.profile.compare import compare

__all__ = ["VERSION", "ProfileBuilder", "compare"]
