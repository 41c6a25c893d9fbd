"""What a paragraph is: a heading, a numbered paragraph, a block quote, or running text."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from webapp.documents.layout import BlockKind
from workers.extraction.lines import Flow, Line

HEADING_WORDS = 40
HEADING_LINES = 4
LINE_WORDS, FEW_WORDS = 20, 5  # of a heading that only its words tell: with a number or in capitals, without
CENTRED = 1.5  # times the type's size, by which the two sides may differ
FAR, FAR_SLACK = 0.25, 0.1  # times the width between the margins
INDENTED = 1.4  # times the type's size
QUOTE_WORDS = 4  # to a line, on average: what has fewer is an address or a signature
LARGER = 1.15  # times the body's type size

_ROMAN = re.compile(r"(?=[IVXL])(?:XL|L?X{0,3})(?:IX|IV|V?I{0,3})")
_ENUMERATOR = re.compile(
    r"(?:(?P<roman>[IVXL]{1,6})|(?P<capital>[A-Z])|(?P<number>\d{1,3}(?:\.\d{1,3}){0,4})|(?P<small>[a-z]|[ivx]{1,5}))"
    r"(?:[.)](?=\s)|$)"
)
_NUMBERED = re.compile(
    r"(?:¶ ?)?(?:\d{1,4}[.)]|\d{1,2}(?:\.\d{1,2}){1,4}\.?|\((?:\d{1,3}|[a-zA-Z]|[ivxIVX]{1,5})\)|"
    r"[a-z]\)|[a-hj-z]\.|[ivx]{1,5}[.)]|[•·▪◦●○■–—o])(?=\s)(?!\s*(?:Cir|App|Dist)\b)"
)
_BARE_BULLET = re.compile(r"[o–—](?=\s)")
_SENTENCE_END = re.compile(r"[.;:,][\"”’')\]]*$")
_ABBREVIATED = re.compile(r"\b(?:Inc|Co|Corp|Ltd|al|Jr|Sr|No|v|vs|Cir|Dist|App)\.$", re.IGNORECASE)
_NO_HEADING = re.compile(
    r"(?:v\.?|vs\.?|nos?\.? .{1,80}|\W*(?:january|february|march|april|may|june|july|august|september|"
    r"october|november|december) \d{1,2}, \d{4}\W*|\d{1,2} [a-z]{3,9} \d{4}|"
    r".* vs?\.|dated:.*|\W*|(?:by:? ?)?_+.*|before:?.*|[\d\W]+)",
    re.IGNORECASE,
)
_PARTS = re.compile(r"\d{1,2}(?:\.\d{1,2}){1,3}\.?(?=\s)")  # 3.1, below 3
_SMALL_WORD = re.compile(
    "an?|and|as|at|but|by|for|from|in|into|is|nor|of|on|or|the|to|under|upon|v|vs|with|without|et|al",
    re.IGNORECASE,
)
_LEVELS = {"roman": 1, "capital": 2, "number": 3, "small": 4}


@dataclass
class Paragraph:
    """Lines that belong together, and the flow in which they begin."""

    lines: list[Line]
    flow: Flow
    centred: bool = False
    text: str = field(default="")


def is_numbered(text: str) -> bool:
    """Whether a paragraph starts with its number, its letter or a bullet."""
    return bool(_NUMBERED.match(text))


def is_centred(line: Line, flow: Flow) -> bool:
    """Whether a line stands in the middle, away from both margins, and is no paragraph's first line."""
    indent = line.left - flow.left
    return (
        flow.width > 0
        and is_even(line, flow)
        and min(indent, flow.right - line.right) > INDENTED * line.size
        and abs(indent - flow.indent) > line.size / 2
    )


def is_even(line: Line, flow: Flow) -> bool:
    """Whether a line is about as far from the left margin as from the right one."""
    left, right = line.left - flow.left, flow.right - line.right
    # Far from both, nobody sees so exactly where the middle is.
    slack = FAR_SLACK * flow.width if min(left, right) > FAR * flow.width else CENTRED * line.size
    return abs(left - right) <= slack


def classify(paragraph: Paragraph, body: float) -> tuple[BlockKind, int]:
    """The kind of a paragraph whose `text` is set, and a heading's level.

    `body` is the size of the document's running text.
    """
    level = _heading_level(paragraph, body)
    if level:
        return BlockKind.HEADING, level
    if is_numbered(paragraph.text) and not (_BARE_BULLET.match(paragraph.text) and len(paragraph.lines) == 1):
        return BlockKind.NUMBERED, 0
    if _is_quote(paragraph):
        return BlockKind.QUOTE, 0
    return BlockKind.PARAGRAPH, 0


def classify_line(text: str) -> tuple[BlockKind, int]:
    """The kind of a paragraph of which nothing is known but its words, and a heading's level.

    A heading is short and ends as no sentence does; it has a number, or capitals, or very few words.
    """
    number, parts = enumerator(text), _PARTS.match(text)
    ends = number[1] if number else parts.end() if parts else 0
    rest = text[ends:].strip()
    short = text.count(" ") < LINE_WORDS and not re.search(r"[.;:,?!][\"”’)\]]*$", rest)
    if short and not _NO_HEADING.fullmatch(rest) and (ends or text.isupper() or rest.count(" ") < FEW_WORDS):
        depth = _LEVELS[number[0]] if number else _LEVELS["number"] + 1 if parts else 0
        return BlockKind.HEADING, depth or (1 if text.isupper() else 2)
    return (BlockKind.NUMBERED if is_numbered(text) else BlockKind.PARAGRAPH), 0


def _heading_level(paragraph: Paragraph, body: float) -> int:
    """How deep a heading this is, from 1; 0 for what is none.

    A number tells the depth (I, A, 1, a); without one, what is centred, large or in capitals stands above
    what is merely bold or underlined.
    """
    text, lines = paragraph.text, paragraph.lines
    letters = [letter for letter in text if letter.isalpha()]
    if len(lines) > HEADING_LINES or text.count(" ") >= HEADING_WORDS:
        return 0
    number = enumerator(text)
    rest = text[number[1] :].strip() if number else text
    if not rest:  # a number by itself, in the middle
        inside = paragraph.centred or lines[0].left > paragraph.flow.left + FAR * paragraph.flow.width
        return _LEVELS[number[0]] if number and inside and number[0] != "small" else 0
    if not letters or _NO_HEADING.fullmatch(rest):
        return 0
    capitals = len(letters) > 3 and all(letter.isupper() for letter in letters)
    marked = sum(line.bold or line.underlined for line in lines)
    strong = marked == len(lines) or (number is not None and 2 * marked >= len(lines) > 1)
    large = all(line.size >= LARGER * body for line in lines)
    divided = number is not None and number[0] in ("roman", "capital") and len(lines) < 3
    titled = (paragraph.centred or divided) and _is_title(rest)
    if not (capitals or strong or large or titled):
        return 0
    is_sentence = _SENTENCE_END.search(text) and not _ABBREVIATED.search(text)
    if is_sentence and not (strong and (number or paragraph.centred)):
        return 0
    # A name in a caption, as "STATE OF MISSOURI," is.
    if text.endswith((",", ";")) or (capitals and not strong and paragraph.flow.column):
        return 0
    if number:
        return _LEVELS[number[0]]
    return 1 if paragraph.centred or capitals or large else 2


def enumerator(text: str) -> tuple[str, int] | None:
    """What a heading's number is (roman, capital, number or small), and where it ends."""
    found = _ENUMERATOR.match(text)
    if found is None:
        return None
    kind = found.lastgroup or ""
    if kind == "roman" and not _ROMAN.fullmatch(found[1]):
        kind = "capital" if len(found[1]) == 1 else ""
    return (kind, found.end()) if kind else None


def _is_title(text: str) -> bool:
    """Whether each word that matters starts with a capital."""
    words = [word for word in re.findall(r"[^\W\d_][\w’'-]*", text) if not _SMALL_WORD.fullmatch(word)]
    return 0 < len(words) <= 12 and all(word[0].isupper() for word in words)


def _is_quote(paragraph: Paragraph) -> bool:
    """Whether a paragraph stands in from the left, all of it, as running text does."""
    lines, flow = paragraph.lines, paragraph.flow
    if flow.width <= 0 or paragraph.centred or sum(line.words for line in lines) < QUOTE_WORDS * len(lines):
        return False
    size = lines[0].size
    inner = min(line.left for line in lines[1:] or lines) - flow.left
    if inner < INDENTED * size or inner > 0.35 * flow.width:
        return False
    widest = max(line.right for line in lines)
    if len(lines) == 1:
        # One line may be a paragraph's first and only one: a quote stands in further, or in quotation marks.
        return inner > flow.indent + size / 2 and lines[0].text[0] in '"“' and lines[0].words > QUOTE_WORDS
    return widest > flow.left + 0.7 * flow.width
