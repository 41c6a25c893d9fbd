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
from pathlib import Path
from typing import Any

from workers.extraction.result import Extracted, ExtractionRefused, Limits, too_long

ROOT = Path(__file__).resolve().parents[2]
GRACE = 10  # seconds for a child that has said everything to end
JSON_GROWTH = 6  # bytes at most that JSON writes for one character: \\uXXXX


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


def extract_in_child(path: Path, name: str, limits: Limits | None = None) -> Extracted:
    """As `extract`, in a process of its own with bounded memory, time and output.

    The child gets neither this process's environment (it holds secrets) nor its stderr (a parser's trace may
    hold a firm's text). Raises ExtractionRefused, also for a child that dies or overruns.
    """
    limits = limits or Limits()
    child = subprocess.Popen(  # our own module, arguments as a list
        [
            sys.executable,
            "-m",
            "workers.extraction",
            str(path.resolve()),
            name,
            json.dumps(dataclasses.asdict(limits)),
        ],
        cwd=ROOT,
        env={"LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1"},
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
        _end(child)
    return _result(answer, returncode)


def _answer(child: subprocess.Popen[bytes], limits: Limits) -> bytes:
    """All that the child wrote, within its wall time and its share of output."""
    assert child.stdout is not None
    deadline = time.monotonic() + limits.wall_seconds
    answer = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while selector.select(max(0.0, deadline - time.monotonic())):
            piece = os.read(child.stdout.fileno(), 2**16)
            if not piece:
                return bytes(answer)
            answer += piece
            if len(answer) > JSON_GROWTH * limits.text_bytes:
                raise too_long()
    raise _too_slow()


def _end(child: subprocess.Popen[bytes]) -> None:
    """Leave no process behind, whatever happened. The group is the child's own."""
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    if child.stdout is not None:
        child.stdout.close()


def _result(answer: bytes, returncode: int) -> Extracted:
    # At its CPU limit the kernel kills; PDFium out of memory aborts or traps.
    if returncode in (-signal.SIGKILL, -signal.SIGXCPU):
        raise _too_slow()
    if returncode in (-signal.SIGABRT, -signal.SIGTRAP, -signal.SIGILL):
        raise _too_hungry()
    if returncode != 0:
        raise _broken()
    found: dict[str, Any] = json.loads(answer)
    if found.get("code") == "memory":
        raise _too_hungry()
    if "code" in found:
        raise ExtractionRefused(found["code"], found["message"])
    return Extracted.from_json(found)
