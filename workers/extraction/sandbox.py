"""Read a file from outside in a child process with hard limits, so that a hostile one costs nobody else."""

from __future__ import annotations

import dataclasses
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workers.extraction import frames, office, scans
from workers.extraction.result import Extracted, ExtractionRefused, Limits, too_long

ROOT = Path(__file__).resolve().parents[2]
GRACE = 10  # seconds for a child that has said everything to end
# Threads of numeric libraries would each take their share of the address space, and none is of use here.
ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUTF8": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


def _too_slow() -> ExtractionRefused:
    return ExtractionRefused(
        "too_complex",
        "This file takes too long to read; print it to a new PDF or split it into parts.",
    )


def _too_hungry() -> ExtractionRefused:
    return ExtractionRefused(
        "too_complex",
        "This file needs more memory than one document may use; split it or save it again as PDF.",
    )


def _broken() -> ExtractionRefused:
    return ExtractionRefused(
        "corrupt",
        "This file is damaged so that it cannot be read; save it again as PDF and upload that.",
    )


def extract_in_child(path: Path, name: str, limits: Limits | None = None, *, depth: int = 0) -> Extracted:
    """As `extract`, in a process of its own with bounded memory, time and output.

    `depth` is the number of archives and e-mails that the file lay in. What only LibreOffice reads is turned
    into DOCX by it first, in a process with limits of its own; a scan is read by Tesseract where that is
    installed, in a second process with more time. Raises ExtractionRefused, also for a child
    that dies or overruns.
    """
    limits = limits or Limits()
    said, files = _read(path, name, limits, depth)
    if "convert" not in said:
        return Extracted.from_json(said, files)
    kind = said["convert"]
    with office.converted(path, kind, "docx") as docx:
        said, files = _read(docx, docx.name, limits, depth)
    return dataclasses.replace(Extracted.from_json(said, files), kind=kind)


def _read(path: Path, name: str, limits: Limits, depth: int) -> tuple[dict[str, Any], list[bytes]]:
    limits = dataclasses.replace(limits, tesseract=scans.tesseract())
    said, files = _ask(path, name, limits, depth)
    if "ocr" in said:
        said, files = _ask(path, name, scans.with_ocr(limits, said["ocr"]), depth)
    return said, files


def _ask(path: Path, name: str, limits: Limits, depth: int) -> tuple[dict[str, Any], list[bytes]]:
    given = json.dumps(dataclasses.asdict(limits))
    return ask_child("workers.extraction", [str(path.resolve()), name, str(depth), given], limits)


def ask_child(module: str, arguments: Sequence[str], limits: Limits) -> tuple[dict[str, Any], list[bytes]]:
    """What `python -m module arguments` answers (see `frames`), within the wall time and output of `limits`;
    the child binds itself to the rest.

    It gets neither this process's environment (it holds secrets) nor its stderr (a parser's trace may hold a
    firm's text). Raises ExtractionRefused: what the child says, and for one that dies or overruns.
    """
    child = subprocess.Popen(  # our own module, arguments as a list
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        answer = _answer(child, limits)
        returncode = child.wait(GRACE)
    except subprocess.TimeoutExpired:
        raise _too_slow() from None
    finally:
        end(child)
    return _said(answer, returncode)


def _answer(child: subprocess.Popen[bytes], limits: Limits) -> bytearray:
    """All that the child wrote, within its wall time and its share of output."""
    assert child.stdout is not None
    deadline = time.monotonic() + limits.wall_seconds
    answer = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while selector.select(max(0.0, deadline - time.monotonic())):
            piece = os.read(child.stdout.fileno(), 2**16)
            if not piece:
                return answer
            answer += piece
            if len(answer) > limits.output_bytes:
                raise too_long()
    raise _too_slow()


def end(child: subprocess.Popen[bytes]) -> None:
    """Leave no process behind, whatever happened. The group is the child's own."""
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    if child.stdout is not None:
        child.stdout.close()


def _said(answer: bytearray, returncode: int) -> tuple[dict[str, Any], list[bytes]]:
    # At its CPU limit the kernel kills; a C library out of memory aborts or traps.
    if returncode in (-signal.SIGKILL, -signal.SIGXCPU):
        raise _too_slow()
    if returncode in (-signal.SIGABRT, -signal.SIGTRAP, -signal.SIGILL):
        raise _too_hungry()
    if returncode != 0:
        raise _broken()
    try:
        said, files = frames.read(answer)
    except ValueError:
        raise _broken() from None
    if said.get("code") == "memory":
        raise _too_hungry()
    if "code" in said:
        raise ExtractionRefused(said["code"], said["message"])
    return said, files
