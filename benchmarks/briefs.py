"""Briefs that nobody wrote: the same words for the same number, on any machine."""

from __future__ import annotations

import random

PAGES, WORDS_A_PAGE = 10, 400
WHO = "court panel plaintiff defendant agency tenant trustee surety carrier insurer lender buyer seller"
DID = "denies concedes recites disputes pleads overlooks preserves waives proves assumes rejects affirms"
WHAT = "notice standing damages costs delay venue remand waiver consent tender breach title lien novation"
HOW = "plainly squarely narrowly expressly promptly rightly flatly wholly openly fairly barely soundly"
WHY = "on this record|without more|as a matter of law|by any measure|in good faith|at trial|below|in equity"
REPORTERS = ("U.S.", "F.3d", "F.2d", "S. Ct.", "F. Supp. 2d", "N.E.2d", "P.3d")
NAMES = (
    "Adler Brandt Castro Dunham Eriksen Farrow Gould Hale Ibsen Jarvis Keane Lowell Mercer Nolan Osgood Pryce"
)


def document_text(number: int) -> str:
    """Ten pages of a brief that nobody wrote: headings, paragraphs, about four citations a page."""
    dice = random.Random(number)
    topic = f"{dice.choice(NAMES.split())} {dice.choice(WHAT.split())}"
    paragraphs = [f"Brief on the {topic} in Matter {number}"]
    words = 0
    while words < PAGES * WORDS_A_PAGE:
        if dice.random() < 0.12:
            paragraphs.append(f"{dice.choice('IVX')}. The {dice.choice(WHAT.split())} of the {topic}")
        text = " ".join(_sentence(dice, topic) for _ in range(dice.randint(3, 7)))
        paragraphs.append(text)
        words += len(text.split())
    return "\n\n".join(paragraphs)


def _sentence(dice: random.Random, topic: str) -> str:
    who, did, what, how = (dice.choice(words.split()) for words in (WHO, DID, WHAT, HOW))
    said = f"The {who} {how} {did} the {what} of the {topic}, and the {dice.choice(WHAT.split())} "
    said += f"{dice.choice(WHY.split('|'))} number {dice.randint(2, 999)}"
    if dice.random() < 0.15:
        one, other = dice.sample(NAMES.split(), 2)
        cite = f"{dice.randint(20, 580)} {dice.choice(REPORTERS)} {dice.randint(1, 1200)}"
        said += f". See {one} v. {other}, {cite}, {dice.randint(1201, 1400)} ({dice.randint(1950, 2020)})"
    return said + "."
