"""Signatures that tell near-duplicates among any number of documents without comparing their texts.

MinHash (Broder 1997, "On the resemblance and containment of documents") over runs of five words, with
locality-sensitive bands (Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets", chapter 3).
"""

from __future__ import annotations

import hashlib
import itertools
import re
import struct
from collections.abc import Iterator

from webapp.documents.similarity import WIDTH

VALUES = 128
SEED = 1
RUN = 5  # words
# Two documents that say 80% the same share one of 21 bands with a probability of 99.8%; 30%, of 1.5%.
ROWS = 6
BANDS = VALUES // ROWS  # the last two values are in no band
_BATCH = 50_000


def signature(text: str) -> bytes:
    """What `webapp.documents.similarity.jaccard` compares: 512 bytes, or none for a text without words.

    The same for the same words on every machine, whatever their case, spacing and punctuation. 8 MB of text
    take about 1 s.
    """
    from rensa import RMinHash

    runs = _runs(text)
    sketch, any_words = RMinHash(VALUES, SEED), False
    while batch := list(itertools.islice(runs, _BATCH)):
        sketch.update(batch)
        any_words = True
    return struct.pack(f"<{VALUES}I", *sketch.digest()) if any_words else b""


def bands(signature: bytes) -> list[int]:
    """Signed 64-bit numbers; documents that share one are worth comparing, others are not near-duplicates."""
    size = ROWS * WIDTH
    parts = [signature[at : at + size] for at in range(0, len(signature) - size + 1, size)]
    return [
        int.from_bytes(hashlib.blake2b(bytes([place]) + part, digest_size=8).digest(), "little", signed=True)
        for place, part in enumerate(parts)
    ]


def _runs(text: str) -> Iterator[str]:
    """Every five words that follow each other; all the words of a text that has fewer."""
    words = (match[0].casefold() for match in re.finditer(r"\w+", text))
    run = list(itertools.islice(words, RUN))
    if run:
        yield " ".join(run)
    for word in words:
        run = [*run[1:], word]
        yield " ".join(run)
