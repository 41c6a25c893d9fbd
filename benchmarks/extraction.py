"""Pages a second and words recovered, beside pypdf, pdfplumber and markitdown on the same files.

Each tool reads all files some times over in a process of its own, the peers in an environment of their own;
what counts is the median. Ours is `workers.extraction.extract` with all its checks, as the reading child runs
it, without the child's start.
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pypdfium2

from benchmarks.peers import peers_python
from benchmarks.product import ROOT

PEERS = ("pypdf", "pdfplumber", "markitdown")
OURS = "housestyle"
PACKAGES = ("pypdf==7.1.0", "pdfplumber==0.11.10", "markitdown[pdf]==0.1.8")
SAMPLES = ROOT.parent / "shared" / "samples"
# The third born-digital sample is left out: pdfminer, on which two of the peers stand, does not open it.
BORN_DIGITAL = ("scotus/tarrant-v-herrmann.pdf", "circuit/calvary-chapel-v-mills.pdf")
REPETITIONS = 5


@dataclass(frozen=True)
class Reading:
    """`pages_per_s` over all files; `recovered` is each file's share of its reference's words."""

    tool: str
    pages_per_s: float
    recovered: dict[str, float]
    words_recovered: float  # over the files whose words are known


def measure(files: Sequence[Path], references: dict[Path, str]) -> list[Reading]:
    """Every tool on every file, ours first. A file without a reference is measured against the words that
    two of the peers agree on, running heads, stamps and page numbers among them, which ours leaves out on
    purpose; it does not count for `words_recovered`."""
    python = peers_python("documents", PACKAGES)
    outcomes = {OURS: _ours(files), **{tool: _peer(python, tool, files) for tool in PEERS}}
    pages = sum(len(pypdfium2.PdfDocument(path)) for path in files)
    readings = []
    known = {path: _words(text) for path, text in references.items()}
    for path in files:
        if path not in known:
            one, other = (_words(_joined(outcomes[tool][1][str(path)])) for tool in ("pypdf", "pdfplumber"))
            known[path] = one & other
    for tool, (seconds, texts) in outcomes.items():
        found = {path: _words(texts[str(path)]) & known[path] for path in files}
        recovered = {path.name: found[path].total() / known[path].total() for path in files}
        total = sum(found[path].total() for path in references) / sum(
            known[path].total() for path in references
        )
        readings.append(Reading(tool, pages / statistics.median(seconds), recovered, total))
    return readings


def samples() -> list[Path]:
    """The born-digital sample documents beside the checkout, where there are any."""
    return [SAMPLES / name for name in BORN_DIGITAL if (SAMPLES / name).exists()]


def _ours(files: Sequence[Path]) -> tuple[list[float], dict[str, str]]:
    command = [sys.executable, "-m", "benchmarks.extraction", str(REPETITIONS), *map(str, files)]
    return _said(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)


def _peer(python: Path, tool: str, files: Sequence[Path]) -> tuple[list[float], dict[str, str]]:
    script = ROOT / "benchmarks" / "peer.py"
    command = [str(python), str(script), tool, str(REPETITIONS), *map(str, files)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return _said(done.stdout)


def _said(output: bytes) -> tuple[list[float], dict[str, str]]:
    said = json.loads(output)
    return said["seconds"], said["texts"]


def _joined(text: str) -> str:
    """The text with words that a line's end broke whole again."""
    return re.sub(r"(?<=\w)-\n(?=[a-z])", "", text)


def _words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text.casefold()))


def _read_all(repetitions: int, paths: Sequence[str]) -> None:
    """In a process of its own: ours, as `peer.py` does it for the peers."""
    from workers.extraction.read import extract

    seconds, texts = [], {}
    for _ in range(repetitions):
        began = time.perf_counter()
        texts = {path: extract(Path(path), path).text for path in paths}
        seconds.append(time.perf_counter() - began)
    json.dump({"seconds": seconds, "texts": texts}, sys.stdout)


if __name__ == "__main__":
    _read_all(int(sys.argv[1]), sys.argv[2:])
