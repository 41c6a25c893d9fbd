"""Reads PDFs with one of the peers; run by the peers' own Python, so it imports nothing of the project.

`python peer.py TOOL REPETITIONS PATH...` prints `{"seconds": [...], "texts": {path: text}}`: the seconds of
each repetition over all files, without the import.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence

Read = Callable[[str], str]


def main(tool: str, repetitions: str, paths: Sequence[str]) -> None:
    read = READERS[tool]()
    seconds: list[float] = []
    texts: dict[str, str] = {}
    for _ in range(int(repetitions)):
        began = time.perf_counter()
        texts = {path: read(path) for path in paths}
        seconds.append(time.perf_counter() - began)
    json.dump({"seconds": seconds, "texts": texts}, sys.stdout)


def with_pypdf() -> Read:
    from pypdf import PdfReader

    return lambda path: "\n".join(page.extract_text() for page in PdfReader(path).pages)


def with_pdfplumber() -> Read:
    import pdfplumber

    def read(path: str) -> str:
        with pdfplumber.open(path) as pdf:
            return "\n".join(page.extract_text() or "" for page in pdf.pages)

    return read


def with_markitdown() -> Read:
    from markitdown import MarkItDown

    converter = MarkItDown(enable_plugins=False)
    return lambda path: str(converter.convert(path).text_content)


READERS: dict[str, Callable[[], Read]] = {
    "pypdf": with_pypdf,
    "pdfplumber": with_pdfplumber,
    "markitdown": with_markitdown,
}

if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
