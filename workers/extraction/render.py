"""Pages as pictures, to read beside the text.

The drawing child is `python -m workers.extraction.render PATH NUMBERS LIMITS`; see `frames` for its answer.
"""

from __future__ import annotations

import dataclasses
import io
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

from webapp.documents.formats import KINDS
from workers.extraction.__main__ import Answer, answer_confined
from workers.extraction.office import READERS, to_pdf
from workers.extraction.result import ExtractionRefused, Limits
from workers.extraction.sandbox import ask_child

DPI = 110
MAX_PIXELS = 4_000_000  # a poster comes out coarser
COLOURS = 256
MOST_PAGES = 64  # at once


def render_pages(
    path: Path, name: str, numbers: Sequence[int], limits: Limits | None = None
) -> list[tuple[int, bytes]]:
    """The pages `numbers`, counted from 1, of the file at `path`, each with its number and as PNG.

    Pages that the file doesn't have are left out. It is drawn in a process with bounded memory, time and
    output; what a word processor wrote is printed by LibreOffice first, in another. Raises ExtractionRefused,
    also where that is not installed (no_converter) or a file has no pages of its own (unsupported).
    """
    limits = limits or Limits()
    kind = KINDS.get(PurePath(name).suffix.lower())
    if kind == "pdf":
        return _ask(path, numbers, limits)
    if kind not in READERS:
        raise ExtractionRefused("unsupported", "This kind of file has no pages that could be shown.")
    with tempfile.TemporaryDirectory(prefix="housestyle-") as folder:
        printed = Path(folder) / "printed.pdf"
        printed.write_bytes(to_pdf(path, kind))
        return _ask(printed, numbers, limits)


def _ask(path: Path, numbers: Sequence[int], limits: Limits) -> list[tuple[int, bytes]]:
    arguments = [str(path.resolve()), json.dumps(list(numbers)), json.dumps(dataclasses.asdict(limits))]
    said, files = ask_child("workers.extraction.render", arguments, limits)
    return list(zip(said["pages"], files, strict=True))


def main(arguments: list[str]) -> int:
    path, wanted, given = arguments
    limits = Limits(**json.loads(given))

    def draw() -> Answer:
        from workers.extraction.pdf import open_pdf

        document = open_pdf(Path(path).read_bytes(), limits)
        numbers = [number for number in json.loads(wanted)[:MOST_PAGES] if 1 <= number <= len(document)]
        return {"pages": numbers}, [_draw(document[number - 1]) for number in numbers]

    return answer_confined(draw, limits)


def _draw(page: Any) -> bytes:
    """A page as PNG of at most COLOURS colours, which text and scans do not exceed to the eye."""
    width, height = page.get_size()
    scale = min(DPI / 72, (MAX_PIXELS / max(1.0, width * height)) ** 0.5)
    picture = page.render(scale=scale).to_pil().convert("RGB")
    out = io.BytesIO()
    picture.quantize(COLOURS).save(out, "PNG", optimize=False)
    return out.getvalue()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
