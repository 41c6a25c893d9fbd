from __future__ import annotations

from webapp.findings.recognisers import address, bank, birth_date, card, email, phone, privilege, ssn
from webapp.findings.recognisers.found import Found

# What says most comes first: where two overlap, the place is that of both and the kind is the first one's.
FAMILIES = (privilege, ssn, card, bank, email, birth_date, phone, address)


def find(text: str) -> list[Found]:
    """Every place of `text` that a lawyer must be warned of, in order, none overlapping another."""
    ranked = [(found, rank) for rank, family in enumerate(FAMILIES) for found in family.find(text)]
    ranked.sort(key=lambda pair: (pair[0].start, pair[1]))
    apart: list[tuple[Found, int]] = []
    for found, rank in ranked:
        if apart and found.start < apart[-1][0].end:
            last, last_rank = apart.pop()
            kind = last.kind if last_rank <= rank else found.kind
            found = Found(kind, last.start, max(last.end, found.end))
            rank = min(rank, last_rank)
        apart.append((found, rank))
    return [found for found, _ in apart]
