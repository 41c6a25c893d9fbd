"""Words that are spelt in two ways, and words of emphasis."""

from __future__ import annotations

from collections.abc import Iterator

_OUR = (
    "arbour behaviour candour clamour colour endeavour favour fervour flavour glamour harbour honour humour "
    "labour neighbour odour rancour rigour rumour splendour tumour vapour vigour"
)
_ISE = (
    "apologise authorise capitalise categorise characterise civilise criminalise criticise emphasise "
    "finalise formalise generalise harmonise itemise jeopardise legalise maximise memorialise minimise "
    "mobilise monopolise neutralise organise penalise prioritise realise recognise scrutinise stabilise "
    "standardise subsidise summarise symbolise sympathise utilise"
)
_DOUBLED = "cancel counsel fuel label level marshal model signal total travel"
_OTHERS = {
    "defence": "defense",
    "defences": "defenses",
    "offence": "offense",
    "offences": "offenses",
    "pretence": "pretense",
    "centre": "center",
    "centres": "centers",
    "theatre": "theater",
    "analyse": "analyze",
    "analysed": "analyzed",
    "analysing": "analyzing",
    "paralyse": "paralyze",
    "wilful": "willful",
    "wilfully": "willfully",
    "skilful": "skillful",
    "skilfully": "skillfully",
    "fulfil": "fulfill",
    "fulfils": "fulfills",
    "enrol": "enroll",
    "enrolment": "enrollment",
    "instalment": "installment",
    "instalments": "installments",
    "acknowledgement": "acknowledgment",
    "acknowledgements": "acknowledgments",
    "counsellor": "counselor",
    "traveller": "traveler",
    "cheque": "check",
    "grey": "gray",
    "sceptical": "skeptical",
    "plough": "plow",
    "tonne": "ton",
}
_NO_SIGN = {"check", "ton"}  # American spellings that mean other things too


def _pairs() -> Iterator[tuple[str, str]]:
    """(British, American) for every spelling that is looked for."""
    for word in _OUR.split():
        for ending in ("", "s", "ed", "ing", "able", "ably", "er", "ers", "less"):
            yield word + ending, word[:-3] + "or" + ending
    for word in _ISE.split():
        for ending in ("ise", "ises", "ised", "ising", "isation", "isations"):
            yield word[:-3] + ending, word[:-3] + ending.replace("is", "iz", 1)
    for word in _DOUBLED.split():
        for ending in ("ed", "ing"):
            yield word + word[-1] + ending, word + ending
    yield from _OTHERS.items()


BRITISH = frozenset(british for british, _ in _pairs())
AMERICAN = frozenset(american for _, american in _pairs()) - _NO_SIGN

_EMPHASIS = (
    "clearly plainly obviously manifestly simply merely indeed certainly undoubtedly very wholly entirely "
    "squarely"
)
EMPHASIS = tuple(_EMPHASIS.split())
