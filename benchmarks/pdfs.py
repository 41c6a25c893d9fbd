"""Born-digital PDFs whose words are known: briefs of one and of two columns, with running heads."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from reportlab.lib.pagesizes import LETTER
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas

from benchmarks.briefs import document_text

FONT, SIZE, LEADING = "Times-Roman", 11, 14
MARGIN, GUTTER = 72, 24
LONG = 8  # letters: a longer word may be broken at a line's end


@dataclass(frozen=True)
class Printed:
    """A PDF and the text that was printed in it, without running heads and page numbers."""

    path: Path
    reference: str


def write_pdfs(folder: Path, count: int = 10) -> list[Printed]:
    """`count` briefs of about ten pages, every second one in two columns; the same each time."""
    made = []
    for number in range(count):
        text = document_text(number)
        path = folder / f"brief-{number}.pdf"
        _print(path, text, columns=1 + number % 2, seed=number)
        made.append(Printed(path, text))
    return made


def _print(path: Path, text: str, *, columns: int, seed: int) -> None:
    width, height = LETTER
    measure = (width - 2 * MARGIN - (columns - 1) * GUTTER) / columns
    canvas = Canvas(str(path), pagesize=LETTER, invariant=1)
    dice = random.Random(seed)
    column, y, page = 0, 0.0, 0
    for paragraph in text.split("\n\n"):
        for line in [*_lines(paragraph, measure, dice), ""]:
            if page == 0 or y < MARGIN:
                column = (column + 1) % columns if page else 0
                if column == 0:
                    page += 1
                    if page > 1:
                        canvas.showPage()
                    canvas.setFont(FONT, SIZE)
                    canvas.drawString(MARGIN, height - 50, f"Brief for the Petitioner in Matter {seed}")
                    canvas.drawCentredString(width / 2, 40, f"- {page} -")
                y = height - MARGIN - LEADING
            if line:
                canvas.drawString(MARGIN + column * (measure + GUTTER), y, line)
            y -= LEADING
    canvas.save()


def _lines(paragraph: str, measure: float, dice: random.Random) -> list[str]:
    """A paragraph in lines that fit; here and there a long word is broken at a line's end."""
    lines, line = [], ""
    words = paragraph.split(" ")
    while words:
        word = words.pop(0)
        longer = f"{line} {word}" if line else word
        if stringWidth(longer, FONT, SIZE) <= measure:
            line = longer
            continue
        head, tail = word[:4], word[4:]
        broken = f"{line} {head}-"
        breaks = word.isalpha() and len(word) > LONG and dice.random() < 0.5
        if breaks and stringWidth(broken, FONT, SIZE) <= measure:
            lines.append(broken)
            line = tail
            continue
        lines.append(line)
        line = word
    return [*lines, line]
