"""Which replica an adapter belongs to: rendezvous hashing (Thaler and Ravishankar 1998). Every process comes
to the same answer by itself, and a replica that comes or goes moves only what is its own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def ranked(replicas: Iterable[str], key: str) -> list[str]:
    """The replicas' names, the one that `key` belongs to first."""
    return sorted(replicas, key=lambda name: _score(name, key), reverse=True)


def _score(replica: str, key: str) -> bytes:
    return hashlib.blake2b(f"{replica}\0{key}".encode(), digest_size=8).digest()
