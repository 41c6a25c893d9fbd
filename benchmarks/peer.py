"""Reads PDFs with one of the peers; run by the peers' own Python, so it imports nothing of the project.

`python peer.py TOOL REPETITIONS PATH...` prints `{"seconds": [...], "texts": {path: text}}`: the seconds of
each repetition over all files, without the import.
"""

import json
import sys
import time


def main(tool, repetitions, paths):
    read = READERS[tool]()
    seconds, texts = [], {}
    for _ in range(int(repetitions)):
        began = time.perf_counter()
        texts = {path: read(path) for path in paths}
        seconds.append(time.perf_counter() - began)
    json.dump({"seconds": seconds, "texts": texts}, sys.stdout)


def with_pypdf():
    from pypdf import PdfReader

    return lambda path: "\n".join(page.extract_text() for page in PdfReader(path).pages)


def with_pdfplumber():
    import pdfplumber

    def read(path):
        with pdfplumber.open(path) as pdf:
            return "\n".join(page.extract_text() or "" for page in pdf.pages)

    return read


def with_markitdown():
    from markitdown import MarkItDown

    converter = MarkItDown(enable_plugins=False)
    return lambda path: converter.convert(path).text_content


READERS = {"pypdf": with_pypdf, "pdfplumber": with_pdfplumber, "markitdown": with_markitdown}

if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
