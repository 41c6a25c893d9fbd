"""Which documents a model learns from and which it is measured on."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable
from typing import Literal, TypeVar

Side = Literal["train", "heldout"]
Id = TypeVar("Id", bound=Hashable)


def split_by_document(document_ids: Iterable[Id], heldout_share: float, seed: int) -> dict[Id, Side]:
    """A side for every document, so that no document's passages are on both.

    The order comes from a hash of seed and id: the same ids give the same split whatever their order, on any
    machine. With two or more documents each side gets at least one; a single document is all training.
    Raises ValueError unless 0 <= `heldout_share` < 1.
    """
    if not 0 <= heldout_share < 1:
        raise ValueError("The held-out share must be at least 0 and below 1.")
    ids = sorted(dict.fromkeys(document_ids), key=lambda id: hashlib.sha256(f"{seed}:{id}".encode()).digest())
    heldout = min(max(1, round(heldout_share * len(ids))), len(ids) - 1) if len(ids) > 1 else 0
    return {id: "heldout" if place < heldout else "train" for place, id in enumerate(ids)}
