"""Where sentences end in legal prose, nearly: good for lengths and openings, and fast."""

from __future__ import annotations

import re
from collections.abc import Iterator

_END = re.compile(r"[.?!][”\"’')\]]*( +)(?=[“\"‘'(\[]*[A-Z])")
_ABBREVIATED = (
    "v vs Id id Ibid Cf cf No Nos Inc Co Cos Corp Ltd Mr Mrs Ms Dr Prof Hon Jr Sr St Cir Ct Cts Fed Civ Crim "
    "Proc Evid App Supp Ed Art Rev Stat Ex Dist Bd Dept Div Univ Amdt Const Cong Rep Sen Sess Reg Cl Pub Jud "
    "Gen Govt Atl Bros Mfg Ins Sec Servs Serv Indus Ass Assn Comm Comn Cty Cnty Sup Super Cal Tex Fla Mass "
    "Mich Ill Ind Wis Minn Wash Ore Ariz Ark Colo Conn Del Ga Haw Kan La Md Mo Mont Neb Nev Okla Pa Tenn Va "
    "Vt Wyo Ala Miss Am Nat Natl Intl Int Elec Tel Pac Sys Tech Fin Grp Hosp Ry Transp Cent Educ Emp Envtl "
    "Sch Soc Twp Util Mut Pharm Prods Chem Bankr Jan Feb Mar Apr Jun Jul Aug Sept Oct Nov Dec Rptr So pp nn "
    "al ex rel seq op cit Pt Vol Ch Par Para Exh Def Pl Pet Resp Br Tr Decl Aff Mem Compl Mot Ass'n Ass’n "
    "Int'l Int’l Nat'l Nat’l Dep't Dep’t Gov't Gov’t Comm'n Comm’n Eng'g Eng’g"
)
_ABBREVIATIONS = frozenset(_ABBREVIATED.split())
_PLAIN = 0.25  # a sentence with a smaller share of words in small letters is a citation


def sentences(text: str) -> Iterator[tuple[int, int, int]]:
    """`(start, end, spaces)` of each sentence of one paragraph; `spaces` stand between it and the next."""
    start = 0
    for match in _END.finditer(text):
        at = match.start()
        if text[at] == "." and _abbreviates(text, start, at):
            continue
        yield start, match.start(1), len(match[1])
        start = match.end()
    if start < len(text):
        yield start, len(text), 0


def _abbreviates(text: str, start: int, at: int) -> bool:
    """Whether the full stop at `at` belongs to the word before it."""
    if text[at + 1 : at + 2] != " ":  # a closing mark follows
        return False
    word = text[max(start, text.rfind(" ", start, at) + 1) : at].lstrip("“\"‘'([")
    initial = len(word) < 2 and not word.isdigit()
    return initial or word in _ABBREVIATIONS or (word[0].isalpha() and "." in word)


def is_prose(words: list[str]) -> bool:
    """Whether a sentence says something, rather than being a citation or a list of names."""
    if len(words) < 3 or words[0].startswith(("Id.", "Ibid.")):
        return False
    return sum(map(str.islower, words)) >= _PLAIN * len(words)
