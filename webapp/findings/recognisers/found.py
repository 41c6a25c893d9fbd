from __future__ import annotations

import re
from dataclasses import dataclass

from webapp.findings.models import FindingKind

SPACE = r"[ \u00a0]"
DASH = r"[-\u2010\u2011\u2012\u2013]"


@dataclass(frozen=True)
class Found:
    """`text[start:end]` is of this kind."""

    kind: FindingKind
    start: int
    end: int


def before(text: str, at: int, reach: int) -> str:
    """What stands in the `reach` characters before `at`."""
    return text[max(0, at - reach) : at]


def digits(value: str) -> str:
    return re.sub(r"\D", "", value)
