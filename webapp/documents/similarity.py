"""How alike two documents are, told from the signatures that were kept of them. Standard library only."""

from __future__ import annotations

WIDTH = 4  # bytes of one value of a signature
# Estimated from 128 values, so give or take 0.035. A revised draft is above it, another brief of the same
# case below.
NEAR_DUPLICATE = 0.8


def jaccard(a: bytes | memoryview, b: bytes | memoryview) -> float:
    """The share, 0 to 1, of what two documents say that both of them say (Jaccard's index, estimated).

    `a` and `b` are signatures as `workers.similarity.signature` makes them; a text without words has an empty
    one and is like nothing, itself included. Raises ValueError for signatures of different lengths.
    """
    a, b = bytes(a), bytes(b)
    if not a or not b:
        return 0.0
    if len(a) != len(b):
        raise ValueError("These signatures were made in different ways; make them anew from the texts.")
    places = range(0, len(a), WIDTH)
    return sum(a[at : at + WIDTH] == b[at : at + WIDTH] for at in places) / len(places)
