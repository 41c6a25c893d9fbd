"""Tracebacks fit for a log: where and what kind, never what was said."""

from __future__ import annotations

import traceback
from pathlib import Path

DEEPEST = 12


def frames_only(error: BaseException) -> str:
    """A traceback without messages or source lines: a message may quote a document or a prompt."""
    frames = [
        f"{'/'.join(Path(frame.filename).parts[-3:])}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
    ]
    return "\n".join([*frames[-DEEPEST:], f"{type(error).__module__}.{type(error).__qualname__}"])
