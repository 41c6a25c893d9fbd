"""How a text writes dates, numbers and words, and how it punctuates."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from webapp.datasets.profile.spelling import AMERICAN, BRITISH, EMPHASIS
from webapp.datasets.profile.tally import Tally

_MONTH = "(?:January|February|March|April|May|June|July|August|September|October|November|December)"
_MONTH_FIRST = re.compile(
    r"[JFMASOND](?:(?:anuary|ebruary|arch|pril|ay|une|uly|ugust|eptember|ctober|ovember|ecember)"
    r" (?:[0-9]{1,2}(?P<ordinal>st|nd|rd|th)|(?P<mdy>[0-9]{1,2}))"
    r"|(?P<short>(?:an|eb|ar|pr|un|ul|ug|ept?|ct|ov|ec)\. [0-9]{1,2}))(?![0-9])(?:, [0-9]{4})?"
)
# What stands after a figure: "20 days", "12%", "2 January 2020", "1/2/2020".
_FIGURE = re.compile(
    r"[0-9]{1,4}(?:(?: (?:(?P<percent>percent\b)|(?P<per_cent>per cent\b)"
    rf"|(?P<dmy>{_MONTH}(?: [0-9]{{4}})?)"
    rf"|(?P<noun>[a-z]{{2,}}s\b)))|(?P<sign> ?%)|(?:st|nd|rd|th) (?:of )?(?P<ordinal>{_MONTH})"
    r"|/[0-9]{1,2}/(?P<slash>[0-9]{4}|[0-9]{2}\b)|-[01][0-9]-(?P<iso>[0-3][0-9])\b)"
)
_SMALL = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_LARGE = (
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
    *_TENS,
    *(f"{ten}-{one}" for ten in _TENS for one in ("one", *_SMALL[:-1])),
)
_PLURAL = re.compile(r" (?P<noun>[a-z]{2,}s)\b")
_NO_NOUNS = frozenset(
    ("was", "has", "is", "does", "this", "its", "as", "us", "thus", "less", "plus", "percents")
)

# Items of one or two plain words: longer ones cannot be told from clauses.
_LIST = re.compile(
    r", (?<=[a-z], )(?!(?:who|which|that|whether|he|she|it|we|they|the|but|and|or|not|as|if|in|on|at|to|by)"
    r"\b)[a-z]{3,}(?: [a-z]+)?(?P<comma>,)? (?:and|or) [a-z]"
)
_EM_DASH = re.compile("—")
_ELLIPSIS = re.compile(r"\.(?: \.){2,3}")
# What a word in small letters tells: (feature, form).
_TELLING: dict[str, tuple[str, str]] = {
    **dict.fromkeys(AMERICAN, ("spelling", "american")),
    **dict.fromkeys(BRITISH, ("spelling", "british")),
    **{word: ("judgment", word.removesuffix("s")) for word in ("judgment", "judgments")},
    **{word: ("judgment", word.removesuffix("s")) for word in ("judgement", "judgements")},
    **{word: ("emphasis", word) for word in EMPHASIS},
    **{
        f"{verb}n{apostrophe}t": ("contraction", "short")
        for verb in (
            *("is", "are", "was", "were", "do", "does", "did", "has", "have", "had"),
            *("would", "could", "should", "wo", "ca"),
        )
        for apostrophe in "’'"
    },
    **dict.fromkeys(_SMALL, ("small_number", "word")),
    **dict.fromkeys(_LARGE, ("number", "word")),
}
_WORD = re.compile(r"[A-Za-z]+(?:[’'-][a-z]+)*")
_NOT = re.compile(r" (?:is|are|was|were|do|does|did|has|have|had|will|would|could|should) not\b|\bcannot\b")


def scan(text: str, tally: Tally) -> None:
    """Count the forms of dates, numbers, words and signs in `text`, whose lines are its blocks."""
    _dates_and_figures(text, tally)
    _words(text, tally)
    _signs(text, tally)
    for match in _LIST.finditer(text):
        tally.hit("oxford", "comma" if match["comma"] else "none", match.start() + 2, match.end() - 2)


def _dates_and_figures(text: str, tally: Tally) -> None:
    for match in _MONTH_FIRST.finditer(text):
        form = "ordinal" if match["ordinal"] else "mdy" if match["mdy"] else "short"
        if form != "mdy" or not _day_comes_first(text, match.start()):
            tally.hit("date", form, *match.span())
    for match in _FIGURE.finditer(text):
        form = match.lastgroup or ""
        if form == "noun":
            _figure(text, match, tally)
        elif form in ("sign", "percent", "per_cent"):
            tally.hit("percent", form, *match.span())
        else:
            tally.hit("date", form, *match.span())


def _day_comes_first(text: str, at: int) -> bool:
    """Whether "May 20" is the end of "4 May 20…": the day before the month says so."""
    return at > 1 and text[at - 2].isdigit()


def _figure(text: str, match: re.Match[str], tally: Tally) -> None:
    """A number before a plural noun. One after a capital or a sign is a name: Rule 12 requires, § 5 bars."""
    before = text[max(0, match.start() - 16) : match.start()]
    word = before.split(" ")[-2:-1]
    number = int(match[0].split(" ")[0])
    if match["noun"] in _NO_NOUNS or not before.endswith(" ") or not word or not word[0].islower():
        return
    if word[0] in ("at", "nos.", "no.") or not word[0][-1].isalpha():
        return
    if 2 <= number <= 10:
        tally.hit("small_number", "figure", *match.span())
    elif 11 <= number <= 99:
        tally.hit("number", "figure", *match.span())


def _words(text: str, tally: Tally) -> None:
    counts = Counter(_WORD.findall(text))  # in small letters only: Honor and Center are names
    told: dict[tuple[str, str], list[str]] = {}
    for word in counts.keys() & _TELLING.keys():
        told.setdefault(_TELLING[word], []).append(word)
    for (feature, form), words in told.items():
        if feature in ("small_number", "number"):
            for word in words:
                _number(text, word, feature, tally)
        else:
            places = _places(text, words) if tally.wants(feature, form) else ()
            tally.add(feature, form, sum(counts[word] for word in words), places)
    for match in _NOT.finditer(text):
        tally.hit("contraction", "full", match.start() + (match[0][0] == " "), match.end())


def _number(text: str, word: str, feature: str, tally: Tally) -> None:
    """Count a number in words where figures could stand too: before a plural noun."""
    for start, end in _places(text, [word]):
        noun = _PLURAL.match(text, end)
        if noun and noun["noun"] not in _NO_NOUNS:
            tally.hit(feature, "word", start, noun.end())


def _places(text: str, words: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Where each of `words` stands in `text` as a whole word."""
    for word in words:
        for start, end in _finds(text, word):
            if not _joins(text[start - 1 : start]) and not _joins(text[end : end + 1]):
                yield start, end


def _joins(sign: str) -> bool:
    return sign.isalpha() or (sign != "" and sign in "-’'")


def _signs(text: str, tally: Tally) -> None:
    for feature, form, printed in (
        ("quotes", "curly", "“"),
        ("quotes", "curly", "”"),
        ("quotes", "straight", '"'),
        ("apostrophe", "curly", "’"),
        ("apostrophe", "straight", "'"),
        ("stop", "inside", ".”"),
        ("stop", "outside", "”."),
        ("dash", "en", " – "),
        ("dash", "hyphens", "--"),
        ("ellipsis", "closed", "..."),
        ("ellipsis", "sign", "…"),
    ):
        tally.add(feature, form, text.count(printed), _finds(text, printed))
    for match in _EM_DASH.finditer(text):
        start, end = match.span()
        spaced = text[start - 1 : start] == " " and text[end : end + 1] == " "
        tally.hit("dash", "em_spaced" if spaced else "em", start, end)
    for match in _ELLIPSIS.finditer(text):
        tally.hit("ellipsis", "spaced", *match.span())


def _finds(text: str, printed: str) -> Iterator[tuple[int, int]]:
    at = text.find(printed)
    while at >= 0:
        yield at, at + len(printed)
        at = text.find(printed, at + len(printed))
