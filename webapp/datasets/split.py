"""Which documents a model learns from and which it is measured on."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Hashable, Mapping
from typing import Literal, TypeVar

Side = Literal["train", "heldout"]
Id = TypeVar("Id", bound=Hashable)


def split_by_group(groups: Mapping[Id, Hashable | None], heldout_share: float, seed: int) -> dict[Id, Side]:
    """A side for every document of `groups`, which names the near-duplicates of each, or None.

    Documents of one group are on one side, so that no passage nor its near-copy is on both. The order comes
    from a hash of seed and id: the same ids give the same split whatever their order, on any machine. About
    `heldout_share` of the documents are held out: as near as whole groups come, and with two or more groups
    at least one on each side. A single group is all training. Raises ValueError unless
    0 <= `heldout_share` < 1.
    """
    if not 0 <= heldout_share < 1:
        raise ValueError("The held-out share must be at least 0 and below 1.")
    members: dict[Hashable, list[Id]] = defaultdict(list)
    for id, group in groups.items():
        members[("alone", id) if group is None else ("group", group)].append(id)
    # A group stands where its first document stands: its name may be another one tomorrow.
    ranked = sorted(members.values(), key=lambda ids: min(_rank(id, seed) for id in ids))
    heldout: list[list[Id]] = []
    held, wanted = 0, heldout_share * len(groups)
    for ids in ranked:
        if abs(held + len(ids) - wanted) < abs(held - wanted):
            heldout.append(ids)
            held += len(ids)
    if not heldout and len(ranked) > 1:
        heldout = [min(ranked, key=len)]
    if len(heldout) == len(ranked):
        heldout = heldout[:-1]
    sides: dict[Id, Side] = dict.fromkeys(groups, "train")
    for ids in heldout:
        sides.update(dict.fromkeys(ids, "heldout"))
    return sides


def _rank(id: Hashable, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{id}".encode()).digest()
