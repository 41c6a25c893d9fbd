"""Pages set by hand, line by line, so that a test knows where each one stands."""

from __future__ import annotations

import io
from collections.abc import Sequence

from reportlab.lib.colors import black, white
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas

from tests.extraction.conftest import Read
from webapp.documents.layout import Block, BlockKind

WIDTH, HEIGHT = 612, 792
LEFT, RIGHT, TOP = 72, 540, 720

HEADING, PARAGRAPH = BlockKind.HEADING, BlockKind.PARAGRAPH
NUMBERED, QUOTE, FOOTNOTE = BlockKind.NUMBERED, BlockKind.QUOTE, BlockKind.FOOTNOTE

Found = list[tuple[BlockKind, str]]


class Sheets:
    """A PDF under way. Places are points from the lower left, as in PDF."""

    def __init__(self, font: str = "Times-Roman", size: float = 12) -> None:
        self._out = io.BytesIO()
        self.canvas = Canvas(self._out, pageCompression=1)
        self.font, self.size = font, size
        self.y: float = TOP

    def line(
        self, text: str, x: float = LEFT, *, font: str = "", size: float = 0, y: float | None = None
    ) -> None:
        """One line at `x`, below the last one or at `y`."""
        self.canvas.setFont(font or self.font, size or self.size)
        self.canvas.drawString(x, self.y if y is None else y, text)
        if y is None:
            self.y -= 1.2 * (size or self.size)

    def centred(self, text: str, *, font: str = "", size: float = 0) -> None:
        width = stringWidth(text, font or self.font, size or self.size)
        self.line(text, (LEFT + RIGHT - width) / 2, font=font, size=size)

    def text(
        self,
        words: str,
        x: float = LEFT,
        right: float = RIGHT,
        *,
        indent: float = 0,
        hanging: float = 0,
        size: float = 0,
        step: float = 0,
        bottom: float = 72,
    ) -> str:
        """A paragraph, in lines from `x` to `right`; what didn't fit above `bottom` comes back."""
        size = size or self.size
        lines: list[str] = []
        rest = words.split()
        while rest and self.y - (step or 1.2 * size) * len(lines) >= bottom:
            room = right - x - (indent if not lines else hanging)
            taken = 1
            while taken < len(rest) and stringWidth(" ".join(rest[: taken + 1]), self.font, size) <= room:
                taken += 1
            lines.append(" ".join(rest[:taken]))
            rest = rest[taken:]
        for number, line in enumerate(lines):
            at = self.y
            self.line(line, x + (indent if number == 0 else hanging), size=size)
            self.y = at - (step or 1.2 * size)
        return " ".join(rest)

    def space(self, height: float = 12) -> None:
        self.y -= height

    def rule(self, left: float, right: float, y: float) -> None:
        self.canvas.setLineWidth(0.6)
        self.canvas.line(left, y, right, y)

    def box(self, left: float, bottom: float, right: float, top: float, grey: float = 0) -> None:
        self.canvas.setFillGray(grey)
        self.canvas.rect(left, bottom, right - left, top - bottom, stroke=0, fill=1)
        self.canvas.setFillColor(black)

    def white(self, text: str, x: float, y: float) -> None:
        self.canvas.setFillColor(white)
        self.line(text, x, y=y)
        self.canvas.setFillColor(black)

    def page(self) -> None:
        self.canvas.showPage()
        self.y = TOP

    def pdf(self) -> bytes:
        self.canvas.showPage()
        self.canvas.save()
        return self._out.getvalue()


def blocks(read: Read, sheets: Sheets | bytes) -> Found:
    """Kind and text of each block that is read from these pages."""
    return [(block.kind, block.text) for block in layout(read, sheets)]


def layout(read: Read, sheets: Sheets | bytes) -> Sequence[Block]:
    return read(sheets if isinstance(sheets, bytes) else sheets.pdf(), "sheets.pdf").layout.blocks


# Running text to set: no word of it is broken, repeated as a head, or a number.
FIRST = (
    "The lease gave the tenant a right of first refusal over the second floor, which the landlord let to a "
    "stranger without a word to anyone. Nothing in the correspondence shows that the tenant knew of the "
    "bargain before the carpenters came, and the landlord does not say otherwise."
)
SECOND = (
    "A right of first refusal is a promise, and a promise is broken when performance falls due and does not "
    "come. The landlord answers that the right had lapsed because the tenant paid the rent for March late. "
    "The rent was paid within the grace that the lease allows, so the right stood."
)
THIRD = (
    "Damages follow from the breach. The tenant had to take rooms across the street at twice the price, and "
    "the difference over the term is the measure that this court has always applied to such a loss."
)
