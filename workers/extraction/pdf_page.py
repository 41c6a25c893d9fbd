"""One page of a PDF as PDFium sees it: its lines of text with their places."""

from __future__ import annotations

import ctypes
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pypdfium2
import pypdfium2.raw as pdfium

from workers.extraction.boxes import Covers
from workers.extraction.drawn import Drawn, drawn_on
from workers.extraction.lines import COVERED, UNCOVERED, Line, Page, readable

WIDE = 1.5  # times the type's size: a space that may part two columns
RAISED = 0.2  # times the type's size: how far above the line a footnote's number stands
OTHER_LINE = 0.75  # times the type's size: a letter whose foot is so far off stands in another line
SLANTED = 0.2  # radians
UNDERLINE = 0.35  # times the type's size, below the line

_PIECE = re.compile("[^\r\n\ufffe]*\ufffe|[^\r\n\ufffe]+")  # PDFium puts U+FFFE where a hyphen broke a word
_WORD = re.compile(r"\S+")
_OWN_SIGNS = str.maketrans({COVERED: " ", UNCOVERED: " "})
_BOLD = re.compile(rb"bold|black|heavy|demi", re.IGNORECASE)
_FORCE_BOLD = 1 << 18  # ISO 32000-1, table 123
# A number right behind a word or its punctuation may point to a footnote.
_REFERENCE = re.compile(
    "(?<=[^\\W\\d_])\\d{1,3}(?![\\w.\\-])|(?<=[.,;:?!)\u201d\u2019\"'\\]])\\d{1,3}(?![\\w.\\-])"
)
_SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Seen:
    """A page, and what else is on it that reading may need."""

    page: Page
    drawn: Drawn


class PageReader:
    """Reads the pages of one document. What it learns of a font is true of the next page too."""

    def __init__(self) -> None:
        self._fonts: dict[bytes, _Font] = {}
        self._left, self._right, self._bottom, self._top = (ctypes.c_double() for _ in range(4))
        self._x, self._y = ctypes.c_double(), ctypes.c_double()
        self._matrix = pdfium.FS_MATRIX()
        self._name = ctypes.create_string_buffer(128)
        self._flags = ctypes.c_int()

    def read(self, page: pypdfium2.PdfPage, number: int) -> Seen:
        """The page's lines in the order of the file. Raises PdfiumError."""
        frame = _Frame(page)
        textpage = page.get_textpage()
        text = textpage.get_text_range().translate(_OWN_SIGNS)
        drawn = drawn_on(page)
        covers = Covers(page, drawn)
        rules = [frame.rule(rule) for rule in drawn.rules]
        # Text and characters agree one to one but for fonts whose letters stand for nothing, or for many.
        exact = len(text) == pdfium.FPDFText_CountChars(textpage.raw)
        lines: list[Line] = []
        for piece in _PIECE.finditer(text):
            start = piece.start()
            if not exact:
                start = pdfium.FPDFText_GetCharIndexFromTextIndex(textpage.raw, start)
            lines += self._lines(textpage.raw, piece[0], start, frame, covers)
        textpage.close()
        _underline(lines, rules)
        for line in lines:
            line.page = number
        return Seen(Page(number, lines, frame.height, frame.width, rules), drawn)

    def _lines(
        self, textpage: object, raw: str, start: int, frame: _Frame, covers: Covers, whole: bool = True
    ) -> Iterator[Line]:
        """The line in `raw`, whose first character is number `start`, in parts where its spaces are wide."""
        raw = raw.replace("\ufffe", "-")
        first = len(raw) - len(raw.lstrip())
        end = len(raw.rstrip())
        if first >= end:
            return
        middle = (first + end) // 2
        while raw[middle].isspace():
            middle -= 1
        size, angle, font = self._type(textpage, start + middle)
        if size <= 0 or abs(_turn(angle - frame.angle)) > SLANTED:
            return  # a stamp up the margin, a watermark across the page
        base = self._base(textpage, start + middle, frame)
        covered: Sequence[tuple[int, int]] = ()
        if covers.reach(self._x.value, self._y.value, size, frame.turned % 2 == 0):
            covered = covers.hidden(textpage, raw, start)
        left, _, first_low = self._edges(textpage, start + first, frame)
        _, right, last_low = self._edges(textpage, start + end - 1, frame)
        if whole and max(abs(first_low - base), abs(last_low - base)) > OTHER_LINE * size:
            for begin, piece in self._by_base(textpage, raw, start, frame, size):
                yield from self._lines(textpage, piece, start + begin, frame, covers, whole=False)
            return
        if not (-1 <= base <= frame.height + 1 and -1 <= left <= frame.width + 1):
            return  # off the page, where nobody sees it
        bold = font.bold and all(
            self._type(textpage, start + at)[2].bold for at in (first, end - 1) if raw[at].isalpha()
        )
        # A line no wider than its letters has no wide space, so most lines need no look at each.
        wide = right - left - font.width(raw[first:end]) * size > WIDE * size
        parts = self._parts(textpage, raw, start, frame, WIDE * size) if wide else [(first, end, left, right)]
        for begin, stop, near, far in parts:
            text = self._text(textpage, raw, start, (begin, stop), frame, base, size, covered)
            if text:
                yield Line(text, near, far, base, size, bold)

    def _by_base(
        self, textpage: object, raw: str, start: int, frame: _Frame, size: float
    ) -> Iterator[tuple[int, str]]:
        """Begin and text of each line in what PDFium took for one, as it does where a line starts raised."""
        begin, last = 0, None
        for word in _WORD.finditer(raw):
            base = self._base(textpage, start + word.start(), frame)
            if last is not None and abs(base - last) > size / 2:
                yield begin, raw[begin : word.start()]
                begin = word.start()
            last = base
        yield begin, raw[begin:]

    def _type(self, textpage: object, at: int) -> tuple[float, float, _Font]:
        """Size in points, direction in radians, and font of one character."""
        pdfium.FPDFText_GetMatrix(textpage, at, self._matrix)
        scale = math.hypot(self._matrix.c, self._matrix.d)
        size = pdfium.FPDFText_GetFontSize(textpage, at) * scale
        length = pdfium.FPDFText_GetFontInfo(textpage, at, self._name, 128, self._flags)
        name = self._name.raw[:length] if 0 < length <= 128 else b""
        font = self._fonts.get(name)
        if font is None:
            font = self._fonts[name] = _Font(textpage, at, name, self._flags.value)
        return size, math.atan2(self._matrix.b, self._matrix.a), font

    def _edges(self, textpage: object, at: int, frame: _Frame) -> tuple[float, float, float]:
        """How far from the left of the page a character begins and ends, and how far down its foot is."""
        pdfium.FPDFText_GetCharBox(textpage, at, self._left, self._right, self._bottom, self._top)
        return frame.place(self._left.value, self._right.value, self._bottom.value, self._top.value)

    def _base(self, textpage: object, at: int, frame: _Frame) -> float:
        pdfium.FPDFText_GetCharOrigin(textpage, at, self._x, self._y)
        return frame.down(self._x.value, self._y.value)

    def _parts(
        self, textpage: object, raw: str, start: int, frame: _Frame, wide: float
    ) -> Iterator[tuple[int, int, float, float]]:
        """Begin, end, left and right of each part of a line between spaces of more than `wide`."""
        words = list(_WORD.finditer(raw))
        begin, left, far = words[0].start(), 0.0, 0.0
        for number, word in enumerate(words):
            near = self._edges(textpage, start + word.start(), frame)[0]
            if number == 0:
                left = near
            elif near - far > wide:
                yield begin, words[number - 1].end(), left, far
                begin, left = word.start(), near
            far = self._edges(textpage, start + word.end() - 1, frame)[1]
        yield begin, words[-1].end(), left, far

    def _text(
        self,
        textpage: object,
        raw: str,
        start: int,
        span: tuple[int, int],
        frame: _Frame,
        base: float,
        size: float,
        covered: Sequence[tuple[int, int]],
    ) -> str:
        """The words of a part: numbers that point to footnotes raised, covered words between their signs."""
        begin, stop = span
        pieces = list(raw[begin:stop])
        for reference in _REFERENCE.finditer(raw, begin, stop):
            if base - self._base(textpage, start + reference.start(), frame) > RAISED * size:
                for at in range(*reference.span()):
                    pieces[at - begin] = raw[at].translate(_SUPERSCRIPT)
        for low, high in covered:
            low, high = max(low, begin), min(high, stop)
            if low < high:
                pieces[low - begin] = COVERED + pieces[low - begin]
                pieces[high - 1 - begin] += UNCOVERED
        return readable("".join(pieces))


class _Font:
    """A font's weight, and how wide its letters are at a size of one point."""

    def __init__(self, textpage: object, at: int, name: bytes, flags: int) -> None:
        self.bold = bool(_BOLD.search(name)) or bool(flags & _FORCE_BOLD)
        item = pdfium.FPDFText_GetTextObject(textpage, at)
        self._font = pdfium.FPDFTextObj_GetFont(item) if item else None
        self._widths: dict[str, float] = {}
        self._width = ctypes.c_float()

    def width(self, text: str) -> float:
        widths = self._widths
        for letter in set(text).difference(widths):
            widths[letter] = 0.0
            if self._font and pdfium.FPDFFont_GetGlyphWidth(self._font, ord(letter), 1.0, self._width):
                widths[letter] = self._width.value
        return sum(map(widths.__getitem__, text))


class _Frame:
    """Where on the page, turned as a person sees it, a point of the file is."""

    def __init__(self, page: pypdfium2.PdfPage) -> None:
        bounds = pdfium.FS_RECTF()
        pdfium.FPDF_GetPageBoundingBox(page.raw, bounds)
        self.left, self.bottom, self.right, self.top = bounds.left, bounds.bottom, bounds.right, bounds.top
        self.turned = pdfium.FPDFPage_GetRotation(page.raw) % 4  # quarters, clockwise
        self.angle = self.turned * math.pi / 2
        self.width, self.height = self.right - self.left, self.top - self.bottom
        if self.turned % 2:
            self.width, self.height = self.height, self.width

    def place(self, left: float, right: float, bottom: float, top: float) -> tuple[float, float, float]:
        """How far from the left a box of the file begins and ends, and how far down it reaches."""
        if self.turned == 0:
            return left - self.left, right - self.left, self.top - bottom
        if self.turned == 1:
            return bottom - self.bottom, top - self.bottom, right - self.left
        if self.turned == 2:
            return self.right - right, self.right - left, top - self.bottom
        return self.top - top, self.top - bottom, self.right - left

    def down(self, x: float, y: float) -> float:
        """How far from the top of the page a point of the file is."""
        down: float = (self.top - y, x - self.left, y - self.bottom, self.right - x)[self.turned]
        return down

    def rule(self, rule: tuple[float, float, float]) -> tuple[float, float, float]:
        left, right, height = rule
        return self.place(left, right, height, height)


def _turn(angle: float) -> float:
    """The same angle between minus and plus half a turn."""
    return (angle + math.pi) % (2 * math.pi) - math.pi


def _underline(lines: Sequence[Line], rules: Sequence[tuple[float, float, float]]) -> None:
    """Mark the lines that a rule underlines from end to end."""
    for left, right, base in rules:
        for line in lines:
            below = base - line.base
            if (
                -0.5 <= below <= UNDERLINE * line.size
                and abs(left - line.left) < line.size / 2
                and abs(right - line.right) < line.size / 2
            ):
                line.underlined = True
