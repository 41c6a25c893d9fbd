"""Pages that are pictures, read by Tesseract."""

from __future__ import annotations

import ctypes
import resource
import signal
import statistics
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pypdfium2

from workers.extraction.lines import Line, Page, readable
from workers.extraction.pdf_page import WIDE
from workers.extraction.result import ExtractionRefused
from workers.extraction.scans import PAGE_SECONDS

DPI = 300  # what Tesseract's models were trained on
MAX_PIXELS = 20_000_000
WORD = "5"  # the level of the rows that hold one
USUAL = 12.0  # points: a size of type, where none can be measured
CAPITAL = 0.7  # of the type's size: how tall a capital is
NARROWEST = 0.15  # of the type's size, for a letter
TALLEST = 2.5  # times the type's size
SMALLER = 0.8  # of the page's usual type: what is measured between is noise


@dataclass(frozen=True)
class _Word:
    line: tuple[str, str, str]  # Tesseract's numbers of block, paragraph and line
    left: float
    top: float
    right: float
    bottom: float
    confidence: float  # 0 to 100
    text: str


def read_picture(page: pypdfium2.PdfPage, number: int, tesseract: str) -> tuple[Page, list[float]]:
    """What Tesseract reads on a page, and how sure it is of each word, from 0 to 1.

    Raises ExtractionRefused (too_complex) when it does not come to an end.
    """
    width, height = page.get_size()
    scale = min(DPI / 72, (MAX_PIXELS / max(1.0, width * height)) ** 0.5)
    bitmap = page.render(scale=scale, grayscale=True)
    rows = memoryview(bitmap.buffer).cast("B")
    picture = b"P5\n%d %d\n255\n" % (bitmap.width, bitmap.height) + b"".join(
        rows[row * bitmap.stride : row * bitmap.stride + bitmap.width] for row in range(bitmap.height)
    )
    words = _words(_run(tesseract, picture, round(72 * scale)), 1 / scale)
    lines = _lines(words, number)
    return Page(number, lines, height, width), [word.confidence / 100 for word in words]


def _run(tesseract: str, picture: bytes, dpi: int) -> str:
    try:
        done = subprocess.run(
            [tesseract, "stdin", "stdout", "--dpi", str(dpi), "-l", "eng", "tsv"],
            input=picture,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"LANG": "C.UTF-8", "OMP_THREAD_LIMIT": "1"},
            timeout=PAGE_SECONDS,
            preexec_fn=_bind,
        )
    except subprocess.TimeoutExpired:
        raise _too_slow() from None
    if done.returncode != 0:
        raise _too_slow()
    return done.stdout.decode("utf-8", "replace")


def _bind() -> None:
    """In Tesseract's process: end with the one that reads the file. Its other limits it inherits."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    _, ceiling = resource.getrlimit(resource.RLIMIT_CPU)
    seconds = PAGE_SECONDS if ceiling == resource.RLIM_INFINITY else min(PAGE_SECONDS, ceiling)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


def _too_slow() -> ExtractionRefused:
    return ExtractionRefused(
        "too_complex",
        "A page of this scan takes too long to read; scan it again at 300 dots per inch in black and white.",
    )


def _words(table: str, scale: float) -> list[_Word]:
    """Tesseract's table of words (its TSV format), places in points."""
    words = []
    for row in table.splitlines()[1:]:
        cells = row.split("\t")
        if len(cells) != 12 or cells[0] != WORD:
            continue
        text = readable(cells[11])
        left, top, width, height = (float(cell) * scale for cell in cells[6:10])
        if text:
            place = (cells[2], cells[3], cells[4])
            words.append(_Word(place, left, top, left + width, top + height, float(cells[10]), text))
    return words


def _lines(words: Sequence[_Word], number: int) -> list[Line]:
    """Words to lines, which end where their space is wide enough to part columns."""
    by_line = [(line, _base(line)) for line in _by_line(words)]
    sizes = [size for line, base in by_line for size in _sizes(line, base)]
    usual = statistics.median(sizes) if sizes else USUAL
    lines: list[Line] = []
    for line, base in by_line:
        own = _sizes(line, base)
        size = statistics.median(own) if own else usual
        if SMALLER < size / usual < 1 / SMALLER:
            size = usual
        line = [word for word in line if not _runs_up(word, size)]
        begin = 0
        for at in range(1, len(line) + 1):
            if at == len(line) or line[at].left - line[at - 1].right > WIDE * size:
                part = line[begin:at]
                text = " ".join(word.text for word in part)
                lines.append(Line(text, part[0].left, part[-1].right, base, size, page=number))
                begin = at
    return lines


def _runs_up(word: _Word, size: float) -> bool:
    """Whether a word is narrower than its letters: a column of brackets, read from the side."""
    return (
        word.right - word.left < NARROWEST * size * len(word.text) or word.bottom - word.top > TALLEST * size
    )


def _base(line: Sequence[_Word]) -> float:
    """How far down a line stands: where those of its words end that have no g or y."""
    return sorted(word.bottom for word in line)[len(line) // 4]


def _sizes(line: Sequence[_Word], base: float) -> list[float]:
    """The sizes of a line's type that its capitals and figures speak for."""
    return [(base - word.top) / CAPITAL for word in line if word.text[0].isupper() or word.text[0].isdigit()]


def _by_line(words: Iterable[_Word]) -> Iterable[list[_Word]]:
    found: dict[tuple[str, str, str], list[_Word]] = {}
    for word in words:
        found.setdefault(word.line, []).append(word)
    return found.values()
