"""The reading child: `python -m workers.extraction PATH NAME [DEPTH [LIMITS as JSON]]`; see `frames`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workers.extraction import ExtractionRefused, Limits, extract, frames
from workers.extraction.confine import confine
from workers.extraction.result import NeedsConversion, NeedsOcr

Answer = tuple[dict[str, Any], list[bytes]]


def main(arguments: list[str]) -> int:
    path, name, depth, given = arguments
    limits = Limits(**json.loads(given))

    def read() -> Answer:
        found = extract(Path(path), name, limits, depth=int(depth))
        return found.as_json(), [member.data for member in found.members]

    return answer_confined(read, limits)


def answer_confined(work: Callable[[], Answer], limits: Limits) -> int:
    """Do `work` under `limits` and write its answer; what a parser prints goes nowhere, what it raises says
    nothing."""
    with os.fdopen(os.dup(1), "wb") as answer:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        confine(limits)
        files: list[bytes] = []
        try:
            said, files = work()
        except ExtractionRefused as refused:
            said = {"code": refused.code, "message": refused.message}
        except NeedsConversion as needed:
            said = {"convert": needed.kind}
        except NeedsOcr as needed:
            said = {"ocr": needed.pages}
        except MemoryError:
            said = {"code": "memory", "message": ""}
        frames.write(answer, said, files)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
