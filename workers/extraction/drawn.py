"""What is drawn on a PDF's page beside its text: thin rules, dark shapes, pictures, annotations."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

MAX_OBJECTS = 5000  # of a page: what holds more is a drawing, and no page of text
MAX_DEPTH = 3  # forms inside forms
THIN = 2.5  # points: a rule, an underline, a table's border
SHORTEST_RULE = 18.0  # points
DARK = 110  # of 255
OPAQUE = 200  # of 255

Box = tuple[
    float, float, float, float
]  # left, bottom, right, top, in points of the page as the file has them
_Matrix = tuple[float, float, float, float, float, float]
_SAME: _Matrix = (1, 0, 0, 1, 0, 0)
# Annotations that may be laid over words. A Redact one marks what is to be taken out and was not
# (ISO 32000-1, 12.5.6.23): its words are live whatever it looks like.
_COVERING = (
    pdfium.FPDF_ANNOT_SQUARE,
    pdfium.FPDF_ANNOT_POLYGON,
    pdfium.FPDF_ANNOT_STAMP,
    pdfium.FPDF_ANNOT_FREETEXT,
    pdfium.FPDF_ANNOT_HIGHLIGHT,
    pdfium.FPDF_ANNOT_INK,
    pdfium.FPDF_ANNOT_LINE,
)


@dataclass
class Drawn:
    """Shapes that may cover words (`covers`), those that surely mark them (`redactions`), and the rest."""

    rules: list[tuple[float, float, float]] = field(default_factory=list)  # left, right, and how high
    covers: list[Box] = field(default_factory=list)
    redactions: list[Box] = field(default_factory=list)
    pictures: list[Box] = field(default_factory=list)
    shapes: int = 0  # paths of all kinds


class _Reader:
    """Reads a page's objects. One set of C variables serves all calls, of which there are many."""

    def __init__(self) -> None:
        self.drawn = Drawn()
        self.left, self.bottom, self.right, self.top = (ctypes.c_float() for _ in range(4))
        self.red, self.green, self.blue, self.alpha = (ctypes.c_uint() for _ in range(4))
        self.fill, self.stroke = ctypes.c_int(), ctypes.c_int()
        self.stroke_width = ctypes.c_float()
        self.seen = 0

    def bounds(self, item: Any, matrix: _Matrix) -> Box | None:
        if not pdfium.FPDFPageObj_GetBounds(item, self.left, self.bottom, self.right, self.top):
            return None
        box = (self.left.value, self.bottom.value, self.right.value, self.top.value)
        return box if matrix is _SAME else _moved(box, matrix)

    def read(self, count: int, get: Any, holder: Any, matrix: _Matrix = _SAME, depth: int = 0) -> None:
        for number in range(count):
            self.seen += 1
            if self.seen > MAX_OBJECTS:
                return
            item = get(holder, number)
            kind = pdfium.FPDFPageObj_GetType(item)
            if kind == pdfium.FPDF_PAGEOBJ_TEXT:
                continue
            if kind == pdfium.FPDF_PAGEOBJ_PATH:
                self.path(item, matrix)
            elif kind == pdfium.FPDF_PAGEOBJ_IMAGE:
                box = self.bounds(item, matrix)
                if box is not None:
                    self.drawn.pictures.append(box)
            elif kind == pdfium.FPDF_PAGEOBJ_FORM and depth < MAX_DEPTH:
                own = pdfium.FS_MATRIX()
                pdfium.FPDFPageObj_GetMatrix(item, own)
                inner = _times((own.a, own.b, own.c, own.d, own.e, own.f), matrix)
                count_inside = pdfium.FPDFFormObj_CountObjects(item)
                self.read(count_inside, pdfium.FPDFFormObj_GetObject, item, inner, depth + 1)

    def path(self, item: Any, matrix: _Matrix) -> None:
        self.drawn.shapes += 1
        box = self.bounds(item, matrix)
        if box is None:
            return
        left, bottom, right, top = box
        if top - bottom <= THIN:
            if right - left >= SHORTEST_RULE:
                self.drawn.rules.append((left, right, (top + bottom) / 2))
        elif right - left > THIN and self.is_dark(item):
            self.drawn.covers.append(box)

    def is_dark(self, item: Any) -> bool:
        """Whether this path is filled, or drawn with a broad pen, in a dark colour that covers."""
        pdfium.FPDFPath_GetDrawMode(item, self.fill, self.stroke)
        if self.fill.value:
            colour = pdfium.FPDFPageObj_GetFillColor
        elif self.stroke.value:
            pdfium.FPDFPageObj_GetStrokeWidth(item, self.stroke_width)
            if self.stroke_width.value <= THIN:
                return False
            colour = pdfium.FPDFPageObj_GetStrokeColor
        else:
            return False
        if not colour(item, self.red, self.green, self.blue, self.alpha):
            return True  # a pattern or a shading: how it looks is for the picture of the page to say
        brightest = max(self.red.value, self.green.value, self.blue.value)
        return brightest <= DARK and self.alpha.value >= OPAQUE


def drawn_on(page: pypdfium2.PdfPage) -> Drawn:
    """All that is drawn on `page`; of a page with more than MAX_OBJECTS things, of the first of them."""
    reader = _Reader()
    reader.read(pdfium.FPDFPage_CountObjects(page.raw), pdfium.FPDFPage_GetObject, page.raw)
    _read_annotations(page, reader.drawn)
    return reader.drawn


def _read_annotations(page: pypdfium2.PdfPage, drawn: Drawn) -> None:
    place = pdfium.FS_RECTF()
    for number in range(min(pdfium.FPDFPage_GetAnnotCount(page.raw), MAX_OBJECTS)):
        annotation = pdfium.FPDFPage_GetAnnot(page.raw, number)
        if not annotation:
            continue
        kind = pdfium.FPDFAnnot_GetSubtype(annotation)
        if (kind in _COVERING or kind == pdfium.FPDF_ANNOT_REDACT) and pdfium.FPDFAnnot_GetRect(
            annotation, place
        ):
            box = (place.left, place.bottom, place.right, place.top)
            (drawn.redactions if kind == pdfium.FPDF_ANNOT_REDACT else drawn.covers).append(box)
        pdfium.FPDFPage_CloseAnnot(annotation)


def _moved(box: Box, matrix: _Matrix) -> Box:
    left, bottom, right, top = box
    a, b, c, d, e, f = matrix
    xs = [a * x + c * y + e for x in (left, right) for y in (bottom, top)]
    ys = [b * x + d * y + f for x in (left, right) for y in (bottom, top)]
    return min(xs), min(ys), max(xs), max(ys)


def _times(first: _Matrix, then: _Matrix) -> _Matrix:
    a, b, c, d, e, f = first
    p, q, r, s, t, u = then
    return a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s, e * p + f * r + t, e * q + f * s + u
