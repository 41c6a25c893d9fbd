"""A firm with a live adapter, and a key of alice's programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Firm
from tests.live import live


@pytest.fixture
def key(firm: Firm, styles: list[Path]) -> str:
    """The secret of a key that `styles[0]`, live as briefs@1, answers."""
    live(firm, styles[0], by=firm.alice, approver=firm.bob)
    return firm.key(firm.alice)
