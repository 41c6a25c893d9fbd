"""The forms in which a text cites, told by patterns: parsing them would cost a hundred times more.

Patterns begin with the rarest plain character they can, which the `re` module looks for far faster than for
a class of characters or a word's edge; a look-behind then says what stands before it.
"""

from __future__ import annotations

import re

from webapp.datasets.profile.tally import Tally

# Pages cited within a case: "325", "325-326", "325, 330", "325, n. 3". A number before a reporter is the
# volume of a parallel citation, not a page.
_PAGES = (
    r"[0-9]{1,5}(?![0-9]| [A-Z])(?:[–-][0-9]{1,5})?"
    r"(?:, [0-9]{1,5}(?![0-9]| [A-Z])(?:[–-][0-9]{1,5})?)*(?:,? (?:& )?nn?\. ?[0-9]+)?"
)
_CASE = re.compile(
    r"[0-9]{1,4} (?:(?P<code>U\. ?S\. ?C\.|USC|C\. ?F\. ?R\.|CFR)"
    r"|(?:(?P<us>U\. ?S\.|US)|(?P<sct>S\. ?Ct\.|S Ct)"
    r"|(?P<supp>F\. ?Supp\.(?: ?[23]d)?|F Supp(?: [23]d)?)"
    r"|(?P<f>F\. ?(?:2d|3d|4th)|F[23]d|F4th|F\.(?= [0-9]))"
    r"|(?P<regional>[NS]\. ?[EW]\.(?: ?[23]d)?|[AP]\. ?[23]d)"
    r"|S\. ?W\. ?[23]d|So\. ?[23]d|L\. ?Ed\. ?2d|Cal\. ?Rptr\.(?: ?[23]d)?|B\. ?R\.|N\. ?Y\. ?S\. ?[23]d)"
    rf"(?:(?P<short>,? at )(?P<at>{_PAGES})"
    rf"|(?: \([0-9]+ [A-Z][a-z]+\.?\))? (?:[0-9]{{1,5}}|_{{2,}})(?:, (?P<pin>{_PAGES}))?"
    r"(?P<paren> \([^()\n]{0,60}[0-9]{4}\))?))"
)
_RANGE = re.compile(r"([0-9]+)([–-])([0-9]+)")
_NOTE = re.compile(r"\bnn?\.( ?)[0-9]+")
_ID = re.compile(rf"d\.(?<=\b[Ii]d\.)(?:(?P<at>,? at )(?P<pages>{_PAGES}))?")
_IBID = re.compile(r"bid\.(?<=\b[Ii]bid\.)")
_SUPRA = re.compile(
    rf"supra\b(?:(?P<note>,? (?:note |nn?\. ?)[0-9]+)|(?P<at>,? at )(?P<pages>{_PAGES}))?",
)
_PARENTHESIS = re.compile(r"\((?P<body>[^()\n]{3,60})\)?")
_CIRCUIT = re.compile(
    r"(?:(?P<cir>(?:[0-9]{1,2}(?:st|d|th)|D\. ?C\.|Fed\.) Cir\.)|(?P<nd>[0-9]{1,2}(?:nd|rd) Cir\.)"
    r"|(?P<ca>CA ?(?:[0-9]{1,2}|DC|Fed\.))) [0-9]{4}"
)
_PARENTHETICALS = (
    ("quoting", ("quoting ",)),
    ("citing", ("citing ",)),
    ("holding", ("holding ",)),
    (
        "explaining",
        ("finding ", "explaining ", "noting ", "stating ", "concluding ", "rejecting ", "observing "),
    ),
    ("emphasis", ("emphasis ",)),
    ("marks", ("internal quotation", "quotation marks", "internal quotes")),
    ("cleaned", ("cleaned up",)),
    ("citations", ("citation omitted", "citations omitted", "citations and", "footnote omitted")),
    ("opinion", ("plurality", "per curiam", "en banc", "majority opinion", "opinion of ")),
)
_JUDGE = re.compile(r"[A-Z][^,]*, (?:C\. ?)?JJ?\.,")
_SIGNAL = re.compile(
    r"(?:(?P<but_cf>[Bb]ut cf\.)|(?P<but>[Bb]ut see)|(?P<eg>[Ss]ee,? e\. ?g\.,?)|(?P<also>[Ss]ee also)"
    r"|(?P<generally>[Ss]ee generally)|(?P<see>[Ss]ee)|(?P<cf>[Cc]f\.)|(?P<accord>[Aa]ccord)"
    r"|(?P<compare>[Cc]ompare)|(?P<contra>[Cc]ontra)),? (?=[A-Z0-9§“\"(]|id\.|supra|ante\b)"
)
_OPENINGS = ("See", "But", "Cf.", "Accord", "Compare", "Contra")
_AFTER_SEMICOLON = re.compile(r"; (?=see|but|cf\.|accord|compare|contra)")
_SIGN = re.compile(r"§§?( ?)[0-9]+[a-z]?")
_SECTION = re.compile(r"ection (?<=\b[Ss]ection )[0-9]+[a-z]?")
_SEC = re.compile(r"ec\. (?<=\b[Ss]ec\. )[0-9]+[a-z]?")
_FED_RULE = re.compile(
    r"Fed\. ?R(?:(?P<r>\. ?)|(?P<rule>ule ))(?:Civ|Crim|App|Evid|Bankr)\b\.?(?: ?P(?:roc)?\.)?"
)
_FEDERAL_RULE = re.compile(r"Federal Rules? of (?:Civil|Criminal|Appellate|Evidence|Bankruptcy)")
_RULE_INITIALS = re.compile(r"FR(?:CP|CrP|AP|E)\b(?= [0-9])")
_RULE = re.compile(r"Rule (?<!Fed\. Rule )[0-9]+")
_BARE_V = re.compile(r" v (?<=[a-z.)] v )(?=[A-Z][a-z])")


def scan(text: str, tally: Tally) -> None:
    """Count the forms of the citations in `text`, whose lines are its blocks."""
    for match in _CASE.finditer(text):
        _case(match, tally)
    for match in _ID.finditer(text):
        at, pages = match["at"], match["pages"]
        tally.hit(
            "id", ("comma" if at[0] == "," else "plain") if at else "alone", match.start() - 1, match.end()
        )
        _pages(pages, match.start("pages"), tally)
    for match in _IBID.finditer(text):
        tally.hit("id", "ibid", match.start() - 1, match.end())
    for match in _SUPRA.finditer(text):
        at = match["at"]
        form = "note" if match["note"] else ("comma" if at[0] == "," else "plain") if at else "alone"
        tally.hit("supra", form, *match.span())
        _pages(match["pages"], match.start("pages"), tally)
    for match in _PARENTHESIS.finditer(text):
        _parenthesis(match, tally)
    for match in _AFTER_SEMICOLON.finditer(text):
        signal(text, match.end(), tally)
    _statutes(text, tally)
    _versus(text, tally)


def opens_with_signal(word: str) -> bool:
    return word.startswith(_OPENINGS)


def signal(text: str, at: int, tally: Tally) -> bool:
    """Whether a signal stands at `at`, where a citation may begin; it is counted."""
    match = _SIGNAL.match(text, at)
    if match is None:
        return False
    tally.hit("signal", match.lastgroup or "", match.start(), match.end() - 1)
    return True


def _case(match: re.Match[str], tally: Tally) -> None:
    code = match["code"]
    if code:
        if code[0] == "U":
            tally.hit("code", _spacing(code), *match.span())
        return
    for reporter in ("us", "sct", "supp", "f", "regional"):
        printed = match[reporter]
        if printed and printed != "F.":  # the first series of the Federal Reporter has no space to leave out
            tally.hit(reporter, _spacing(printed), *match.span())
    if match["short"]:
        tally.hit("short", "comma" if match["short"][0] == "," else "plain", *match.span())
        _pages(match["at"], match.start("at"), tally)
        return
    tally.hit("pin", "pin" if match["pin"] else "none", *match.span())
    tally.hit("year", "year" if match["paren"] else "none", *match.span())
    _pages(match["pin"], match.start("pin"), tally)


def _spacing(printed: str) -> str:
    if "." not in printed:
        return "bare"
    return "spaced" if " " in printed else "closed"


def _pages(pages: str | None, at: int, tally: Tally) -> None:
    """Runs of pages and footnotes among the pages cited, which stand at `at`."""
    if not pages:
        return
    for match in _RANGE.finditer(pages):
        first, sign, last = match.groups()
        place = (at + match.start(), at + match.end())
        tally.hit("range_sign", "dash" if sign == "–" else "hyphen", *place)
        # Only where the first digit stays the same and two others follow could it have been left out.
        if len(last) < len(first):
            tally.hit("range", "cut", *place)
        elif len(last) == len(first) >= 3 and first[0] == last[0]:
            tally.hit("range", "whole", *place)
    for match in _NOTE.finditer(pages):
        tally.hit("note", "spaced" if match[1] else "closed", at + match.start(), at + match.end())


def _parenthesis(match: re.Match[str], tally: Tally) -> None:
    body = match["body"]
    if body[0].islower():
        for form, openings in _PARENTHETICALS:
            if body.startswith(openings):
                tally.hit("parenthetical", form, *match.span())
                return
    elif _JUDGE.match(body):
        tally.hit("parenthetical", "judge", *match.span())
    elif circuit := _CIRCUIT.match(body):
        tally.hit("circuit", circuit.lastgroup or "", *match.span())


def _statutes(text: str, tally: Tally) -> None:
    for match in _SIGN.finditer(text):
        tally.hit("section", "spaced" if match[1] else "closed", *match.span())
    for match in _SECTION.finditer(text):
        start = match.start() - 1
        tally.hit("section", "word" if text[start] == "S" else "small", start, match.end())
    for match in _SEC.finditer(text):
        tally.hit("section", "sec", match.start() - 1, match.end())
    for match in _FED_RULE.finditer(text):
        tally.hit("rules", match.lastgroup or "", *match.span())
    for form, pattern in (("words", _FEDERAL_RULE), ("initials", _RULE_INITIALS), ("short", _RULE)):
        for match in pattern.finditer(text):
            tally.hit("rules", form, *match.span())


def _versus(text: str, tally: Tally) -> None:
    for form, printed in (("v", " v. "), ("vs", " vs. ")):
        at = text.find(printed)
        while at >= 0:
            tally.hit("versus", form, at + 1, at + len(printed) - 1)
            at = text.find(printed, at + 1)
    for match in _BARE_V.finditer(text):
        tally.hit("versus", "bare", match.start() + 1, match.end() - 1)
