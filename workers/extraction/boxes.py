"""Words that a PDF still holds under black boxes: what looks redacted and is not."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import pypdfium2
import pypdfium2.raw as pdfium

from workers.extraction.drawn import Box, Drawn

MAX_PIXELS = 4_000_000
SCALE = 1.5  # pixels per point: strokes of common type are a pixel and more
BLACK = 120  # of 255: the darkest red of a stamp is lighter
CONTRAST = 48  # of 255, between a letter and what is behind it
MOST = 0.6  # of a letter's height: a box that covers less leaves it readable


class Covers:
    """The dark shapes of one page, and which characters they hide.

    The picture of the page decides, so that white words on a black band, drawn before or after it, are words
    one sees. What is marked for redaction with an annotation and was never taken out counts too.
    """

    def __init__(self, page: pypdfium2.PdfPage, drawn: Drawn) -> None:
        self._page = page
        self._redactions = frozenset(drawn.redactions)
        self._boxes = [*drawn.redactions, *drawn.covers, *drawn.pictures]
        self._picture: _Picture | None = None
        self._left, self._bottom, self._right, self._top = (ctypes.c_double() for _ in range(4))

    def reach(self, x: float, y: float, size: float, upright: bool) -> bool:
        """Whether a line of type of this size through this point may have covered characters."""
        if upright:
            return any(box[1] - size <= y <= box[3] + size for box in self._boxes)
        return any(box[0] - size <= x <= box[2] + size for box in self._boxes)

    def hidden(self, textpage: object, raw: str, start: int) -> list[tuple[int, int]]:
        """Begin and end in `raw`, whose first character is number `start`, of what nobody sees."""
        found = []
        for at, character in enumerate(raw):
            if character.isspace() or not pdfium.FPDFText_GetCharBox(
                textpage, start + at, self._left, self._right, self._bottom, self._top
            ):
                continue
            box = (self._left.value, self._bottom.value, self._right.value, self._top.value)
            if self._hides(box):
                found.append(at)
        return _runs(found, raw)

    def _hides(self, character: Box) -> bool:
        for cover in self._boxes:
            shared = _shared(character, cover)
            if shared is not None:
                if cover in self._redactions:
                    return True
                self._picture = self._picture or _Picture(self._page)
                if self._picture.is_black(shared):
                    return True
        return False


def _shared(character: Box, cover: Box) -> Box | None:
    """The part of a character that `cover` lies over, if that is most of it."""
    left, bottom, right, top = character
    middle = (left + right) / 2
    if not cover[0] <= middle <= cover[2]:
        return None
    low, high = max(bottom, cover[1]), min(top, cover[3])
    if high - low < MOST * (top - bottom) or high <= low:
        return None
    return max(left, cover[0]), low, min(right, cover[2]), high


class _Picture:
    """A page in shades of grey, as a person sees it."""

    def __init__(self, page: pypdfium2.PdfPage) -> None:
        width, height = page.get_size()
        self.page = page
        self.scale = min(SCALE, (MAX_PIXELS / max(1.0, width * height)) ** 0.5)
        # Forms are drawn, annotations too: whoever looks at the page sees both.
        self.bitmap = page.render(scale=self.scale, grayscale=True, may_draw_forms=False)
        self.pixels = memoryview(self.bitmap.buffer).cast("B")
        self.x, self.y = ctypes.c_int(), ctypes.c_int()

    def is_black(self, box: Box) -> bool:
        """Whether nothing but dark can be seen where this character stands."""
        left, top = self._pixel(box[0], box[3])
        right, bottom = self._pixel(box[2], box[1])
        left, right = sorted((left, right))
        top, bottom = sorted((top, bottom))
        lightest, darkest = 0, 255
        for row in range(max(0, top), min(self.bitmap.height, max(bottom, top + 1))):
            start = row * self.bitmap.stride
            end = min(self.bitmap.width, max(right, left + 1))
            strip = self.pixels[start + max(0, left) : start + end].tobytes()
            if strip:
                lightest, darkest = max(lightest, max(strip)), min(darkest, min(strip))
        return darkest <= lightest <= BLACK and lightest - darkest <= CONTRAST

    def _pixel(self, x: float, y: float) -> tuple[int, int]:
        width, height = self.bitmap.width, self.bitmap.height
        pdfium.FPDF_PageToDevice(self.page.raw, 0, 0, width, height, 0, x, y, self.x, self.y)
        return self.x.value, self.y.value


def _runs(found: Sequence[int], text: str) -> list[tuple[int, int]]:
    """Characters to runs; white space between two of them is under the box as well."""
    runs: list[tuple[int, int]] = []
    for at in found:
        if runs and not text[runs[-1][1] : at].strip():
            runs[-1] = (runs[-1][0], at + 1)
        else:
            runs.append((at, at + 1))
    return runs
