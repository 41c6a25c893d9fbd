"""Documents and datasets, measured: `make bench-documents`. Its last line is one JSON object."""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks import dataset, extraction
from benchmarks.pdfs import write_pdfs

DOCUMENTS = 1000
EXAMPLES = 100_000


@dataclass(frozen=True)
class Sizes:
    """How much is measured; `--quick` is for a first look at the benchmark itself."""

    documents: int = DOCUMENTS
    examples: int = EXAMPLES


def main(arguments: list[str]) -> int:
    sizes = Sizes(20, 2000) if "--quick" in arguments else Sizes()
    with tempfile.TemporaryDirectory() as folder:
        printed = write_pdfs(Path(folder))
        files = [made.path for made in printed] + extraction.samples()
        readings = extraction.measure(files, {made.path: made.reference for made in printed})
    _print_readings(readings)
    ours, peers = readings[0], readings[1:]
    fastest = max(peers, key=lambda reading: reading.pages_per_s)

    built = dataset.measure_build(sizes.documents)
    print(
        f"\n{built.documents:,} documents of ten pages became {built.examples:,} examples, "
        f"{built.tokens:,} tokens, in {built.seconds:.0f} s; "
        f"the building process held {built.peak_bytes / 2**20:.0f} MiB at most."
    )
    opened = dataset.measure_page(sizes.examples)
    print(f"\nA dataset of {sizes.examples:,} examples opens with {opened.queries} queries, median of nine:")
    for page, milliseconds in opened.milliseconds.items():
        print(f"  {page:20} {milliseconds:7.1f} ms")

    said = {
        "pages_per_s": round(ours.pages_per_s, 1),
        "fastest_peer": fastest.tool,
        "fastest_peer_pages_per_s": round(fastest.pages_per_s, 1),
        "words_recovered": round(ours.words_recovered, 4),
        "fastest_peer_words_recovered": round(fastest.words_recovered, 4),
        "dataset_seconds_1000_documents": round(built.seconds, 1),
        "dataset_peak_bytes": built.peak_bytes,
        "dataset_page_ms": opened.milliseconds,
    }
    print(json.dumps(said))
    return 0


def _print_readings(readings: list[extraction.Reading]) -> None:
    print(f"{'':34}" + "".join(f"{reading.tool:>13}" for reading in readings))
    print(f"{'pages a second':34}" + "".join(f"{reading.pages_per_s:13.1f}" for reading in readings))
    print("share of words recovered")
    for name in readings[0].recovered:
        print(f"  {name:32}" + "".join(f"{reading.recovered[name]:13.4f}" for reading in readings))
    print(f"  {'all whose words are known':32}" + "".join(f"{r.words_recovered:13.4f}" for r in readings))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
